"""`dinoflow datasets WORKSPACE shards V`: the tars of a version for whoever reads them whole, such as webdataset."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from curation.publish.shard_writer import SIDECAR_COLUMNS, write_shard
from flows.commands.console import Console
from flows.inspect.workspace import existing, version_of
from shared.dataset_version import Published
from shared.errors import UserError

SIDECAR = [*SIDECAR_COLUMNS, "metadata", "shard", "offset", "length"]


def list_shards(workspace: str, which: str | None, to: str | None, json: bool) -> dict[str, Any]:
    """Print, and return, every shard of a version with the images in it, and how many members it hides.

    With a folder, make tars there that hold the version's images alone: whole shards as they are, the others without
    their hidden members. Raises UserError where the folder holds something.
    """
    console, dataset = Console(sys.stderr if json else sys.stdout), version_of(existing(workspace), which)
    hidden = _hidden(dataset)
    names = [name.removeprefix("shards/") for name in dataset.info["checksums"] if name.startswith("shards/")]
    if to is None:
        shards = [{"path": _place(dataset, name), "hidden": hidden.get(name, 0)} for name in names]
    else:
        shards = [{"path": path, "hidden": 0} for path in _cleaned(dataset, names, set(hidden), Path(to))]
    for shard in shards:
        console.say(str(shard["path"]))
    return {"dataset": dataset.name, "version": dataset.version, "shards": shards}


def _hidden(dataset: Published) -> dict[str, int]:
    if not dataset.files("hidden"):
        return {}
    counted = pc.value_counts(dataset.table("hidden", ["shard"])["shard"])
    return {one["values"].as_py(): one["counts"].as_py() for one in counted}


def _place(dataset: Published, name: str) -> str:
    return dataset.shards.place(name)


def _cleaned(dataset: Published, names: list[str], hiding: set[str], folder: Path) -> Iterator[str]:
    """Put shards into a folder, without their hidden members; yield where each is."""
    if folder.is_dir() and os.listdir(folder):
        raise UserError(f"shards needs an empty or a new folder, got {folder}. Name another with --to.")
    folder.mkdir(parents=True, exist_ok=True)
    kept = dataset.table("manifest", dataset.columns("manifest", SIDECAR)) if hiding else None
    for name in names:
        if kept is None or name not in hiding:
            with dataset.shards.fetched(name) as path:
                shutil.copyfile(path, folder / name)
        else:
            rows = kept.filter(pc.equal(kept["shard"], name)).sort_by("offset").to_pylist()
            write_shard(folder / name, ((row, dataset.read(name, row["offset"], row["length"])) for row in rows))
        yield str(folder / name)
