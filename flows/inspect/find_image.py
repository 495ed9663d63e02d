"""From what a person gives (a path, a URL, an id, the end of a path, a file) to the rows of a published version."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.commands.escape import shown
from shared.dataset_version import Published
from shared.errors import UserError
from shared.images.file_names import absolute, as_path, as_text
from shared.images.ids import digest

RowFilter = Callable[[pa.Table], pa.ChunkedArray]
ImageRow = dict[str, Any]
KEYS = ["uri", "image_id"]
SHORTEST_ID = 6
"""Letters of an id that are taken for one."""
LISTED = 5
FILE = "file://"


class FoundImage(NamedTuple):
    """Every row of one image, and the uris among them that were asked for; none where an id or a file was."""

    rows: list[ImageRow]
    asked: frozenset[str] = frozenset()


def image_id(data: bytes) -> str:
    """Return the id of an image: the digest of its bytes, in hex."""
    return digest(data).hex()


def matching(dataset: Published, kind: str, keys: list[str], hits: RowFilter) -> list[ImageRow]:
    """Return the rows of `manifest` or `dropped` where the mask holds; only the keys are read of all the others."""
    rows: list[ImageRow] = []
    for name in dataset.files(kind):
        with dataset.store.open_arrow(name) as file:
            mask = pc.fill_null(hits(pq.read_table(file, columns=keys)), False)
            if pc.any(mask).as_py():
                rows += pq.read_table(file).filter(mask).to_pylist()
    return rows


def rows_of(dataset: Published, hits: RowFilter) -> list[ImageRow]:
    """Return kept and dropped rows where the mask over uri and id holds; `state` tells which they are."""
    kept = [row | {"state": "kept"} for row in matching(dataset, "manifest", KEYS, hits)]
    return kept + [row | {"state": "dropped"} for row in matching(dataset, "dropped", KEYS, hits)]


def local_path(what: str) -> Path | None:
    """Return the file or folder of this machine that was given, as a path or a file:// URL; None for anything else."""
    given = what.removeprefix(FILE)
    paths = (Path(text) for text in dict.fromkeys((what, given, as_path(what))))
    return next((path for path in paths if path.exists()), None)


def uris_meant(what: str) -> list[str]:
    """Return the uris that a path or URL may stand for, as listings write them."""
    given = what.removeprefix(FILE)
    texts = [what, given, unquote(given)] if what.startswith(FILE) else [what, given]
    whole = [absolute(text) for text in texts]
    return list(dict.fromkeys(form for text in (*texts, *whole) for form in _forms(text)))


def find(dataset: Published, what: str, data: bytes | None) -> FoundImage:
    """Return every row of the one image that is meant; none where it is not in this version.

    In this order: a uri, the beginning of an id, the bytes of a local file, the end of a uri. All rows with the
    same id are of the same image. Raises UserError when several images are meant.
    """
    rows = rows_of(dataset, lambda t: pc.is_in(t["uri"], pa.array(uris_meant(what))))
    named = bool(rows)
    if not rows and re.fullmatch(f"[0-9a-f]{{{SHORTEST_ID},32}}", what):
        rows = rows_of(dataset, lambda t: pc.starts_with(t["image_id"], what))
    if not rows and data is not None:
        return FoundImage(rows_of(dataset, lambda t: pc.equal(t["image_id"], image_id(data))))
    if not rows and data is None and what.strip("/"):
        rows = rows_of(dataset, lambda t: _ends_with(t["uri"], what))
        named = bool(rows)
    images = {row["image_id"] or row["uri"]: row["uri"] for row in rows}
    if len(images) > 1:
        listed = [f"  {one[:12]}  {shown(uri)}" for one, uri in sorted(images.items())[:LISTED]]
        more = f"\n  and {len(images) - LISTED} more" if len(images) > LISTED else ""
        raise UserError(
            f"{shown(what)!r} means {len(images)} images. Give more of one of them:\n" + "\n".join(listed) + more
        )
    asked = frozenset(row["uri"] for row in rows) if named else frozenset[str]()
    ids = {row["image_id"] for row in rows} - {None}
    same = rows_of(dataset, lambda t: pc.is_in(t["image_id"], pa.array(sorted(ids)))) if ids else rows
    return FoundImage(sorted(same, key=lambda row: row["uri"] not in asked), asked)


def _ends_with(uris: pa.ChunkedArray, what: str) -> pa.ChunkedArray:
    """Return where whole names at the end of a uri, in a folder or inside a tar, are those that were given."""
    forms = _forms(what.removeprefix("./").lstrip("/"))
    return reduce(pc.or_, (pc.ends_with(uris, before + form) for form in forms for before in ("/", "#")))


def _forms(text: str) -> Iterator[str]:
    """Yield a text as listings may have written it: a URL where its bytes are no UTF-8, letters composed or not."""
    stored = as_text(text)
    yield from dict.fromkeys((stored, unicodedata.normalize("NFC", stored), unicodedata.normalize("NFD", stored)))
