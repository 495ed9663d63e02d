"""From index rows to bytes, in row order. A file that cannot be read is an error in its place, not an exception."""

from collections.abc import Iterator
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

MAX_BYTES = 1 << 30
"""No image has a gigabyte: a longer file is refused unread."""


class UnreadableError(Exception):
    """Why the bytes of one image could not be had."""


def read_bytes(images: pa.Table) -> Iterator[bytes | UnreadableError]:
    """Yield the bytes of each row of IMAGES, or the reason why there are none."""
    opened: dict[str, Any] = {}
    for row in images.select(["reader", "path", "member", "offset", "length"]).to_pylist():
        try:
            yield READERS[row["reader"]](row, opened)
        except (OSError, pa.ArrowException) as error:
            yield UnreadableError(f"{type(error).__name__}: {error}"[:300])
        except UnreadableError as error:
            yield error


def _read_range(row: dict[str, Any], opened: dict[str, Any]) -> bytes:
    if (row["length"] or 0) > MAX_BYTES:
        raise UnreadableError(f"{row['length']:,} bytes, more than the limit of {MAX_BYTES:,}")
    if "://" not in row["path"]:
        with open(row["path"], "rb") as file:
            file.seek(row["offset"])
            return file.read(row["length"])
    fs, path = fsspec.core.url_to_fs(row["path"])
    data: bytes = fs.cat_file(path, start=row["offset"], end=row["offset"] + row["length"])
    return data


def _read_parquet_row(row: dict[str, Any], opened: dict[str, Any]) -> bytes:
    """Keep the row group at hand: rows come in order, so each group is read once."""
    path, number = row["path"], row["offset"]
    if opened.get("path") != path:
        fs, plain = fsspec.core.url_to_fs(path)
        opened.clear()
        opened.update(path=path, file=pq.ParquetFile(fs.open(plain, "rb")), first=0, end=0, group=-1)
        opened["sizes"] = [opened["file"].metadata.row_group(i).num_rows for i in range(opened["file"].num_row_groups)]
    if not opened["first"] <= number < opened["end"]:
        first = 0
        for group, size in enumerate(opened["sizes"]):
            if first <= number < first + size:
                column = opened["file"].read_row_group(group, columns=[row["member"]])[row["member"]]
                opened.update(first=first, end=first + size, column=column)
                break
            first += size
        else:
            raise UnreadableError(f"row {number} is not in the file any more")
    value = opened["column"][number - opened["first"]].as_py()
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None:
        raise UnreadableError("the row holds no bytes")
    return bytes(data)


READERS = {"range": _read_range, "parquet": _read_parquet_row}
