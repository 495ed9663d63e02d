"""From index rows to bytes, in row order. What cannot be read is an error in its place, not an exception."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any

import pyarrow as pa

from curation.sources.opened import Opened
from curation.sources.outages import ReadResult, tried
from curation.sources.ranges import inflated, read_here, read_there
from shared.errors import UnreadableError
from shared.images.file_names import is_remote
from shared.images.table_cells import TableColumn, image_in_cell, open_column

__all__ = ["UnreadableError", "read_bytes"]

WINDOW = 256
"""So many rows of tables are read in the order of the file and given in the order of the index."""


def read_bytes(images: pa.Table, *, to_show: bool = False) -> Iterator[ReadResult]:
    """Yield the bytes of each row of IMAGES, or the reason why there are none.

    Raises WorkFailedError when a disk or store does not answer: an outage must not be taken for bad images. What is
    only to be shown is not waited for. A file that is not as it was listed comes as a ChangedFileError.
    """
    opened = Opened(()) if to_show else Opened()
    try:
        rows = images.select(["reader", "path", "member", "offset", "length"]).to_pylist()
        for (reader, remote), group in groupby(rows, key=lambda row: (row["reader"], is_remote(row["path"]))):
            if reader in ("range", "deflate"):
                data = (read_there if remote else read_here)(group, opened)
                yield from data if reader == "range" else map(inflated, data)
            elif reader == "refused":  # what could not be listed says why
                yield from (UnreadableError(row["member"]) for row in group)
            else:
                yield from _read_cells(group, opened)
    finally:
        opened.close()


def _read_cells(rows: Iterable[dict[str, Any]], opened: Opened) -> Iterator[ReadResult]:
    """Rows of tables: a row group is read once for a window of rows, in whatever order they are wanted."""
    remaining = list(rows)
    for start in range(0, len(remaining), WINDOW):
        window = remaining[start : start + WINDOW]
        order = sorted(range(len(window)), key=lambda i: (window[i]["path"], window[i]["offset"]))
        if order == list(range(len(window))):
            yield from (tried(row, partial(_cell, row, opened), opened, _key(row)) for row in window)
        else:
            data = {i: tried(window[i], partial(_cell, window[i], opened), opened, _key(window[i])) for i in order}
            yield from (data[i] for i in range(len(window)))


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["path"], row["member"]


def _cell(row: dict[str, Any], opened: Opened) -> bytes:
    path, member = _key(row)
    column: TableColumn = opened.get((path, member), lambda: open_column(path, row["reader"], member))

    def read(file: str) -> bytes:
        whole = {"reader": "range", "path": file, "offset": 0, "length": None}
        data = next((read_there if is_remote(file) else read_here)([whole], opened))
        if isinstance(data, UnreadableError):
            raise data
        return data

    return image_in_cell(column[row["offset"]], path, read)
