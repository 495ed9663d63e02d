"""Images in the cells of Parquet and Arrow files: one group of rows is held at a time."""

import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from shared.errors import RecipeError
from shared.storage import Store
from training.eval.sets.files import listed, pixels_of
from training.eval.sets.labelled import TEST, TRAIN

TABLES = (".parquet", ".arrow")


class Group(NamedTuple):
    """Rows that are read together: a row group of Parquet, a batch of Arrow."""

    file: str
    number: int
    rows: int


def table_files(store: Store) -> list[str]:
    """Return the names of the tables of a folder, but for the caches that `datasets` leaves."""
    return [name for name in listed(store) if name.endswith(TABLES) and "/cache-" not in f"/{name}"]


def split_of(name: str) -> str:
    """Return the split that a file's folder or name says, as `datasets` does; train where neither does."""
    parts = [word.lower() for part in reversed(name.split("/")) for word in re.split(r"[^A-Za-z]+", part)]
    return next((word for word in parts if word in (*TRAIN, *TEST)), "train")


def _schema(store: Store, name: str) -> pa.Schema:
    if name.endswith(".parquet"):
        with store.open(name) as file:
            return pq.read_schema(file)
    return _arrow(store, name).schema


@lru_cache(maxsize=64)
def _arrow(store: Store, name: str) -> pa.Table:
    """Return an Arrow file as a table; on a disk it is mapped, not read."""
    source = pa.memory_map(store.path(name)) if store.local else pa.BufferReader(store.read(name))
    return pa.ipc.open_stream(source).read_all()


def _features(schema: pa.Schema) -> dict[str, Any]:
    told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features: dict[str, Any] = told.get("info", {}).get("features", {})
    return features


def image_column(store: Store, name: str) -> str:
    """Return the first column that holds images by what `datasets` says of it, or by its type."""
    schema = _schema(store, name)
    typed = [key for key, feature in _features(schema).items() if feature.get("_type") == "Image"]
    typed += [field.name for field in schema if _holds_bytes(field.type)]
    if not typed:
        raise RecipeError(
            f"{store.path(name)} needs a column of images (bytes, or a struct with bytes), got "
            f"{', '.join(schema.names)}. Name it: column."
        )
    return str(typed[0])


def _holds_bytes(kind: pa.DataType) -> bool:
    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))


def label_words(store: Store, name: str, column: str) -> list[str | None]:
    """Return the label of each row, by name where classes are numbered; none where there is no such column."""
    schema = _schema(store, name)
    if column not in schema.names:
        raise RecipeError(
            f"{store.path(name)} needs a column {column!r}, got {', '.join(schema.names)}. Name it: label."
        )
    if name.endswith(".parquet"):
        with store.open(name) as file:
            values = pq.read_table(file, columns=[column])[column].to_pylist()
    else:
        values = _arrow(store, name)[column].to_pylist()
    names = _features(schema).get(column, {}).get("names")
    if names:
        return [names[value] if value is not None and value >= 0 else None for value in values]
    return [None if value is None else str(value) for value in values]


@dataclass(frozen=True)
class Cells:
    """Images by row number through all files."""

    store: Store
    column: str
    groups: tuple[Group, ...]
    ends: tuple[int, ...]
    """Rows up to the end of each group."""

    @classmethod
    def listed(cls, store: Store, files: list[str], column: str) -> "Cells":
        """Return the images of a column of some files. Raises RecipeError where one lacks it."""
        groups = []
        for name in files:
            if column not in _schema(store, name).names:
                names = ", ".join(_schema(store, name).names)
                raise RecipeError(f"{store.path(name)} needs a column {column!r}, got {names}. Name it: column.")
            groups += [Group(name, number, rows) for number, rows in enumerate(_counts(store, name))]
        return cls(store, column, tuple(groups), tuple(accumulate(group.rows for group in groups)))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def rows_of_files(self) -> list[int]:
        """Return how many rows each file has."""
        counts = dict.fromkeys((group.file for group in self.groups), 0)
        for group in self.groups:
            counts[group.file] += group.rows
        return list(counts.values())

    def data(self, row: int) -> bytes:
        """Return an image's bytes; those of a file that a cell names where it holds none itself."""
        place = bisect_right(self.ends, row)
        group = self.groups[place]
        cell = _cells(self.store, group.file, group.number, self.column)[row - self.ends[place] + group.rows].as_py()
        value = cell["bytes"] if isinstance(cell, dict) else cell
        if value is None and isinstance(cell, dict) and cell.get("path"):
            return self.store.read(cell["path"])
        return bytes(value or b"")

    def pixels(self, row: int) -> Image.Image:
        """Return upright RGB pixels. Raises RecipeError naming file and row."""
        group = self.groups[bisect_right(self.ends, row)]
        return pixels_of(self.data(row), f"row {row} of the dataset, in {self.store.path(group.file)}")


def _counts(store: Store, name: str) -> list[int]:
    if name.endswith(".arrow"):
        return [len(batch) for batch in _arrow(store, name).to_batches()]
    with store.open(name) as file:
        about = pq.ParquetFile(file).metadata
        return [about.row_group(number).num_rows for number in range(about.num_row_groups)]


@lru_cache(maxsize=2)
def _cells(store: Store, name: str, number: int, column: str) -> pa.ChunkedArray:
    if name.endswith(".arrow"):
        return pa.chunked_array([_arrow(store, name).to_batches()[number].column(column)])
    with store.open(name) as file:
        return pq.ParquetFile(file).read_row_group(number, columns=[column])[column]
