"""From what a person gives (a path, a URL, an id, a file) to the rows of a published version."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.dataset_version import Published
from shared.errors import UserError
from shared.images.file_names import URL, as_path, as_text

RowFilter = Callable[[pa.Table], pa.ChunkedArray]
ImageRow = dict[str, Any]
KEYS = ["uri", "image_id"]
SHORTEST = 6
"""Letters of an id that are taken for one."""
LISTED = 5


def image_id(data: bytes) -> str:
    """Return the id of an image: the digest of its bytes, in hex."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def matching(dataset: Published, kind: str, keys: list[str], hits: RowFilter) -> list[ImageRow]:
    """Return the rows of `manifest` or `dropped` where the mask holds; only the keys are read of all the others."""
    rows: list[ImageRow] = []
    for name in dataset.store.names(kind):
        with dataset.store.open(f"{kind}/{name}") as file:
            mask = pc.fill_null(hits(pq.read_table(file, columns=keys)), False)
            if pc.any(mask).as_py():
                rows += pq.read_table(file).filter(mask).to_pylist()
    return rows


def rows_of(dataset: Published, hits: RowFilter) -> list[ImageRow]:
    """Return kept and dropped rows where the mask over uri and id holds; `state` tells which they are."""
    kept = [row | {"state": "kept"} for row in matching(dataset, "manifest", KEYS, hits)]
    return kept + [row | {"state": "dropped"} for row in matching(dataset, "dropped", KEYS, hits)]


def file_at(what: str) -> bytes | None:
    """Return the bytes of a local file, if that is what was given."""
    path = Path(as_path(what))
    return path.read_bytes() if path.is_file() else None


def find(dataset: Published, what: str, data: bytes | None) -> list[ImageRow]:
    """Return every row of the one image that is meant; none where it is not in this version.

    In this order: a uri, the beginning of an id, the bytes of a local file, the end of a uri. All rows with the
    same id are of the same image. Raises UserError when several images are meant.
    """
    path = what if "://" in what else os.path.abspath(what)
    what, spelled = as_text(what), (as_text(text) for text in (what, path, what.removeprefix(URL), as_path(what)))
    uris = pa.array(list(spelled))
    rows = rows_of(dataset, lambda t: pc.is_in(t["uri"], uris))
    if not rows and re.fullmatch(f"[0-9a-f]{{{SHORTEST},32}}", what):
        rows = rows_of(dataset, lambda t: pc.starts_with(t["image_id"], what))
    if not rows and data is not None:
        return rows_of(dataset, lambda t: pc.equal(t["image_id"], image_id(data)))
    if not rows and data is None and len(what) >= SHORTEST:
        rows = rows_of(dataset, lambda t: pc.ends_with(t["uri"], "/" + what.lstrip("./")))
    images = {row["image_id"] or row["uri"]: row["uri"] for row in rows}
    if len(images) > 1:
        listed = [f"  {one[:12]}  {uri}" for one, uri in sorted(images.items())[:LISTED]]
        more = f"\n  and {len(images) - LISTED} more" if len(images) > LISTED else ""
        raise UserError(f"{what!r} means {len(images)} images. Give more of one of them:\n" + "\n".join(listed) + more)
    ids = {row["image_id"] for row in rows} - {None}
    return rows_of(dataset, lambda t: pc.is_in(t["image_id"], pa.array(sorted(ids)))) if ids else rows
