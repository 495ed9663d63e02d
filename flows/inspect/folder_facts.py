"""A folder, or a tar of images, as `explain` tells of it: how many of its images were kept, dropped and why."""

import os
from collections import Counter
from collections.abc import Iterator
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.inspect.find_image import local_path, uris_meant
from shared.dataset_version import Published

EXAMPLES = 3
LOOKED_AT = 1_000_000
"""Files of a folder on this machine: a million take seconds."""


def folder_facts(dataset: Published, what: str) -> dict[str, Any] | None:
    """Return the counts of what lies below a folder or inside a file; None where nothing of it was indexed.

    A folder is given by its path, by a URL, or by the end of either.
    """
    kept, dropped = (_below(dataset, kind, what) for kind in ("manifest", "dropped"))
    if not kept.num_rows + dropped.num_rows:
        return None
    uris, path = {*kept["uri"].to_pylist(), *dropped["uri"].to_pylist()}, local_path(what)
    passed = Counter(name for file, name in _files(path) if file not in uris) if path and path.is_dir() else Counter()
    return {
        "folder": what,
        "indexed": len(uris),
        "kept": kept.num_rows,
        "reasons": dict(Counter(dropped["reason"].to_pylist()).most_common()),
        "examples": {
            "kept": kept["uri"].to_pylist()[:EXAMPLES],
            "dropped": dropped["uri"].to_pylist()[:EXAMPLES],
        },
        "never_indexed": dict(passed.most_common()),
    }


def _below(dataset: Published, kind: str, what: str) -> pa.Table:
    """Return uri and reason of the rows below a folder, part by part: only what lies there is held."""
    columns = ["uri"] if kind == "manifest" else ["uri", "reason"]
    parts = []
    for name in dataset.files(kind):
        with dataset.store.open_arrow(name) as file:
            table = pq.read_table(file, columns=columns)
        parts.append(table.filter(_is_below(table["uri"], what)))
    return pa.concat_tables(parts, promote_options="permissive").combine_chunks()


def _is_below(uris: pa.ChunkedArray, what: str) -> pa.ChunkedArray:
    """Return which uris lie below one of the places that the text may mean."""
    below = [place + after for place in uris_meant(what.rstrip("/") or "/") for after in ("/", "#")]
    masks = [pc.starts_with(uris, place) for place in below]
    masks += [pc.match_substring(uris, f"/{end}") for place in below if (end := place.removeprefix("./").lstrip("/"))]
    return reduce(pc.or_, masks)


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the path of the files below a folder, with their ending, or their name where they have none."""
    walked = ((where, name) for where, _, names in os.walk(os.path.abspath(folder)) for name in names)
    for where, name in islice(walked, LOOKED_AT):
        yield f"{where}/{name}", os.path.splitext(name)[1].lower() or name
