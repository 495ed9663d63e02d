"""Images in the cells of Parquet and Arrow files, by row number through all files; a few rows are held at a time."""

import os
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple, Self

from PIL import Image
from pyarrow import ArrowException

from shared.errors import RecipeError, UnreadableError
from shared.images.image_table import ImageTable, read_image_table
from shared.images.table_cells import Format, TableColumn, image_in_cell, open_binary, open_column
from shared.storage import Store
from training.eval.sets.files import listed, pixels_of
from training.eval.sets.labelled import TEST, TRAIN

FORMS: dict[str, Format] = {".parquet": "parquet", ".arrow": "arrow"}
TABLES = tuple(FORMS)


def table_files(store: Store) -> list[str]:
    """Return the names of the tables of a folder, but for the caches that `datasets` leaves."""
    return [name for name in listed(store) if name.endswith(TABLES) and "/cache-" not in f"/{name}"]


def split_of(name: str) -> str:
    """Return the split that a file's folder or name says, as `datasets` does; train where neither does."""
    parts = [word.lower() for part in reversed(name.split("/")) for word in re.split(r"[^A-Za-z]+", part)]
    return next((word for word in parts if word in (*TRAIN, *TEST)), "train")


class TablePart(NamedTuple):
    """The rows of one file."""

    path: str
    form: Format
    column: str
    rows: int


@dataclass(frozen=True)
class TableImages:
    """Images by row number through all files."""

    parts: tuple[TablePart, ...]
    ends: tuple[int, ...]
    """Rows up to the end of each part."""

    @classmethod
    def read(
        cls, who: str, store: Store, files: Sequence[str], column: str, label: str
    ) -> tuple[Self, list[str | None]]:
        """Return the images of some files, and the label of each.

        Raises RecipeError where a file is damaged or has no such label, SourceError where none of its columns holds
        images.
        """
        parts, labels = [], list[str | None]()
        for name in files:
            path, form = store.sub(name).url, FORMS[name[name.rfind(".") :]]
            table = read_image_table(path, form, who, column, (label,))
            _check(table, who, path, label)
            parts.append(TablePart(path, form, table.column, len(table.labels)))
            labels += table.labels
        return cls(tuple(parts), tuple(accumulate(part.rows for part in parts))), labels

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def data(self, row: int) -> bytes:
        """Return an image's bytes; those of a file that a cell names where it holds none itself."""
        number = bisect_right(self.ends, row)
        part = self.parts[number]
        column = _opened(os.getpid(), part.path, part.form, part.column)
        try:
            return image_in_cell(column[row - self.ends[number] + part.rows], part.path, _read)
        except (OSError, ArrowException, UnreadableError) as error:
            raise RecipeError(
                f"An evaluation needs every image of its set, got {self._where(row)}: {error}. Mend or remove it."
            ) from error

    def pixels(self, row: int) -> Image.Image:
        """Return upright RGB pixels. Raises RecipeError naming file and row."""
        return pixels_of(self.data(row), self._where(row))

    def _where(self, row: int) -> str:
        return f"row {row} of the dataset, in {self.parts[bisect_right(self.ends, row)].path}"


def _check(table: ImageTable, who: str, path: str, label: str) -> None:
    if table.damage:
        raise RecipeError(
            f"{who} needs tables that can be read whole, got {path}: {table.damage}. Fetch the file again."
        )
    if table.counts is not None:
        raise RecipeError(f"{who} needs one image a row, got lists of them in {table.column} of {path}. Set `column`.")
    if not table.label_column:
        raise RecipeError(f"{who} needs a column {label!r} in {path}, got {', '.join(table.columns)}. Name it: label.")


@lru_cache(maxsize=8)
def _opened(_process: int, path: str, form: Format, column: str) -> TableColumn:
    """A process opens its own file: one that a fork inherits shares its place with all others."""
    return open_column(path, form, column)


def _read(path: str) -> bytes:
    with open_binary(path) as file:
        return bytes(file.read())
