"""Cells of Parquet and Arrow files by row, read forwards a few rows at a time, however large a row group is."""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.errors import UnreadableError
from shared.images.column_path import inner, split, walk
from shared.images.file_names import as_path, is_remote
from shared.storage.credentials import located

Format = Literal["parquet", "arrow"]

STEP, MANY = 64, 1 << 16
"""Rows of a Parquet file that are decoded at a time: of images, and of anything smaller."""
LEVELS = 3
"""So many folders above a table are tried as the one that a file's name in a cell starts from."""


class TableFile(NamedTuple):
    """An open file: its schema, and its columns in chunks. A chunk is a row group of Parquet, or all of Arrow's."""

    file: Any
    schema: pa.Schema
    starts: list[int]
    """The first row of each chunk."""
    chunk: Callable[[int, str, int], Iterator[pa.Array]]
    """Yields a chunk of a column, by its number, in arrays of so many rows where the format leaves the choice."""
    lengths: Callable[[], Iterable[int]]
    """Gives numbers of rows that sum up to all; an Arrow stream is gone through for them, so that damage may end it."""
    leaves: list[str]
    """The paths of all that a Parquet file stores apart, so that it can be read apart."""

    def arrays(self, path: str) -> Iterator[pa.Array]:
        """Yield a column, or what lies inside of structs, in pieces, in the order of the file."""
        root, steps = split(path, self.schema.names)
        for number in range(len(self.starts)):
            for array in self.chunk(number, path if self.leaves else root, MANY):
                yield inner(array, steps)

    def lists(self, path: str) -> Iterator[pa.Array]:
        """Yield how many items the list of a path has in each row, 0 for none, without their bytes where possible."""
        root, _ = split(path, self.schema.names)
        before = path.partition("[]")[0]
        _, steps = split(before, self.schema.names)
        small = [leaf for leaf in self.leaves if leaf.startswith(f"{before}.") and not leaf.endswith("bytes")]
        for number in range(len(self.starts)):
            for array in self.chunk(number, small[0] if small else root, MANY if small else STEP):
                yield pc.fill_null(pc.list_value_length(inner(array, steps)), 0)

    def dicts(self, names: list[str]) -> list[dict[str, Any]]:
        """Return some columns as a dict for each row."""
        columns = [[value for array in self.arrays(name) for value in array.to_pylist()] for name in names]
        if not names:
            return [{} for rows in self.lengths() for _ in range(rows)]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


class TableColumn:
    """One column of a table, or a path in it, by row number; going on is cheap, going back starts a chunk again."""

    def __init__(self, table: TableFile, path: str) -> None:
        root, self._steps = split(path, table.schema.names)
        self._table, self._column = table, path.partition("[")[0] if table.leaves and path != root else root
        self._at, self._first = -1, 0
        self._values = pa.nulls(0)
        self._arrays: Iterator[pa.Array] = iter(())
        self._damage: dict[int, tuple[int, Exception]] = {}

    def __getitem__(self, number: int) -> Any:
        chunk = bisect_right(self._table.starts, number) - 1
        if chunk in self._damage and number >= self._damage[chunk][0]:
            raise self._damage[chunk][1]
        if chunk != self._at or number < self._first:
            self._at, self._first, self._values = chunk, self._table.starts[chunk], pa.nulls(0)
            self._arrays = self._table.chunk(chunk, self._column, STEP)
        while number >= self._first + len(self._values):
            self._step(number)
        return walk(self._values[number - self._first].as_py(), self._steps)

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
        self._table.file.close()


def open_table(path: str, form: Format) -> TableFile:
    """Open a file at a path or URL. Raises OSError or ArrowException where it is none of this form."""
    return (_parquet if form == "parquet" else _arrow)(path)


def open_column(path: str, form: Format, column: str) -> TableColumn:
    """Open one column of a file. Raises OSError or ArrowException where the file is none of this form."""
    return TableColumn(open_table(path, form), column)


def _parquet(path: str) -> TableFile:
    opened = open_binary(path)
    try:
        file = pq.ParquetFile(opened)
    except (OSError, pa.ArrowException):
        opened.close()
        raise
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]

    def chunk(number: int, column: str, step: int) -> Iterator[pa.Array]:
        return (batch.column(0) for batch in file.iter_batches(step, row_groups=[number], columns=[column]))

    leaves = [file.schema.column(i).path for i in range(len(file.schema))]
    starts = [0, *accumulate(sizes)][: len(sizes)]
    return TableFile(opened, file.schema_arrow, starts, chunk, lambda: sizes, leaves)


def _arrow(path: str) -> TableFile:
    """Open an IPC stream, which is what Hugging Face writes, or an IPC file."""
    source = _arrow_source(path)
    try:
        schema = _arrow_reader(source).schema
    except (OSError, pa.ArrowException):
        source.close()
        raise

    def chunk(_: int, column: str, _step: int) -> Iterator[pa.Array]:
        return (batch.column(batch.schema.get_field_index(column)) for batch in _arrow_batches(source))

    return TableFile(source, schema, [0], chunk, lambda: (batch.num_rows for batch in _arrow_batches(source)), [])


def _arrow_source(path: str) -> Any:
    """Open an Arrow file for reading: no byte is read before it is needed, where the file is on this machine."""
    return pa.PythonFile(open_binary(path), mode="r") if is_remote(path) else pa.memory_map(as_path(path))


def _arrow_reader(source: Any) -> Any:
    source.seek(0)
    magic = source.read(6)
    source.seek(0)
    return pa.ipc.open_file(source) if magic == b"ARROW1" else pa.ipc.open_stream(source)


def _arrow_batches(source: Any) -> Iterator[pa.RecordBatch]:
    reader = _arrow_reader(source)
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        yield from reader


def image_in_cell(value: Any, table: str, read: Callable[[str], bytes]) -> bytes:
    """Return the bytes that a cell holds or, where it holds none but names a file, what `read` makes of its path.

    Raises UnreadableError for an empty cell.
    """
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None and isinstance(value, dict) and value.get("path"):
        return read(_beside(value["path"], table))
    if data is None:
        raise UnreadableError("the row holds no bytes")
    return bytes(data)


def _beside(path: str, table: str) -> str:
    """Return where a file lies that a cell names: in the folder of the table, or in one above that has it."""
    if "://" in path or os.path.isabs(path):
        return path
    folders = [as_path(table)]
    for _ in range(LEVELS):
        folders.append(folders[-1].rpartition("/")[0])
    places = [f"{folder}/{path}" for folder in folders[1:] if folder]
    return next((place for place in places if _exists(place)), places[0] if places else path)


def _exists(path: str) -> bool:
    if not is_remote(path):
        return os.path.exists(path)
    fs, plain = located(path)
    return bool(fs.exists(plain))


def open_binary(path: str) -> Any:
    """Open a file of this machine or of another one for reading; a path is taken as it is written."""
    if not is_remote(path):
        return open(as_path(path), "rb")
    fs, plain = located(path)
    return fs.open(plain, "rb")
