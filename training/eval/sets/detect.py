"""Which kind of set lies at a path: for a person who names a path and nothing else."""

from pathlib import PurePosixPath
from typing import Any

from shared.errors import RecipeError
from shared.storage import Store
from training.eval.sets.table_images import TABLES
from training.eval.sets.tables import columns_of, is_table


def set_at(url: str) -> dict[str, Any]:
    """Return the fields of the set at a path or URL. Raises RecipeError where nothing is there."""
    store = Store(url)
    if not store.exists(""):
        raise RecipeError(f"A set to evaluate on is needed at {url}, where there is nothing. Give a folder or a file.")
    if not store.fs.isdir(store.path()):
        return _table(url)
    return {"kind": _kind(store), "url": url}


def _table(url: str) -> dict[str, Any]:
    """Tell the two kinds of tables by their columns; a table of pairs lies with its images."""
    if not is_table(url):
        raise RecipeError(f"A set to evaluate on is a folder, or a .csv or .parquet file, got the file {url}.")
    columns = columns_of("A set to evaluate on", url)
    if {"a", "b", "relation"} <= set(columns):
        return {"kind": "copies", "url": url.rpartition("/")[0] or ".", "pairs": url}
    if "mask" in columns:
        return {"kind": "masks", "url": url}
    if "path" not in columns:
        return {"kind": "huggingface", "url": url.rpartition("/")[0] or "."}
    return {"kind": "manifest", "url": url}


def _kind(store: Store) -> str:
    names = store.names("")
    inside = {name: store.names(name) for name in names if not PurePosixPath(name).suffix}
    everything = [*names, *(name for below in inside.values() for name in below)]
    if any(name.endswith(TABLES) for name in everything):
        return "huggingface"
    if "pairs.csv" in names:
        return "copies"
    if any("masks" in below for below in inside.values()):
        return "masks"
    return "folder"
