"""Single cells of Parquet and Arrow files, read forwards a few rows at a time, however large a row group is."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import UnreadableError

STEP = 64
"""Rows of a Parquet file that are decoded at a time."""


class Cells:
    """One column of a table that comes in chunks; going on is cheap, going back starts a chunk again."""

    def __init__(self, file: Any, starts: list[int], chunk: Callable[[int], Iterator[pa.Array]]) -> None:
        self._file, self._starts, self._chunk = file, starts, chunk
        self._at, self._first = -1, 0
        self._values = pa.nulls(0)
        self._arrays: Iterator[pa.Array] = iter(())
        self._damage: dict[int, tuple[int, Exception]] = {}

    def __getitem__(self, number: int) -> Any:
        chunk = bisect_right(self._starts, number) - 1
        if chunk in self._damage and number >= self._damage[chunk][0]:
            raise self._damage[chunk][1]
        if chunk != self._at or number < self._first:
            self._at, self._first, self._values = chunk, self._starts[chunk], pa.nulls(0)
            self._arrays = self._chunk(chunk)
        while number >= self._first + len(self._values):
            self._step(number)
        return self._values[number - self._first].as_py()

    def _step(self, number: int) -> None:
        self._first += len(self._values)
        self._values = pa.nulls(0)
        try:
            self._values = next(self._arrays)
        except StopIteration:
            raise UnreadableError(f"row {number} is not in the file any more") from None
        except (OSError, pa.ArrowException) as error:  # no row behind the damage needs to be tried again
            self._damage[self._at], self._at = (self._first, error), -1
            raise

    def close(self) -> None:
        """Close the file."""
        self._arrays, self._values = iter(()), pa.nulls(0)
        self._file.close()


def open_parquet(path: str, column: str) -> Cells:
    """Open a column of a Parquet file; a chunk is a row group."""
    fs, plain = fsspec.core.url_to_fs(path)
    opened = fs.open(plain, "rb")
    file = pq.ParquetFile(opened)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]

    def chunk(number: int) -> Iterator[pa.Array]:
        batches = file.iter_batches(STEP, row_groups=[number], columns=[column])
        return (batch.column(batch.schema.get_field_index(column)) for batch in batches)

    return Cells(opened, [0, *accumulate(sizes[:-1])], chunk)


def open_arrow(path: str, column: str) -> Cells:
    """Open a column of an Arrow file; it is one chunk, mapped into memory when it is on this machine."""
    source = arrow_source(path)

    def chunk(_: int) -> Iterator[pa.Array]:
        source.seek(0)
        return (batch.column(batch.schema.get_field_index(column)) for batch in arrow_batches(source))

    return Cells(source, [0], chunk)


def arrow_source(path: str) -> Any:
    """Open an Arrow file for reading: no byte is read before it is needed, where the file is on this machine."""
    if "://" not in path:
        return pa.memory_map(path)
    fs, plain = fsspec.core.url_to_fs(path)
    return pa.PythonFile(fs.open(plain, "rb"), mode="r")


def arrow_batches(source: Any) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of an IPC stream, which is what Hugging Face writes, or of an IPC file."""
    magic = source.read(6)
    source.seek(0)
    if magic == b"ARROW1":
        reader = pa.ipc.open_file(source)
        yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        yield from pa.ipc.open_stream(source)
