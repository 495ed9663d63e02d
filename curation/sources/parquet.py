"""Parquet files with the images' bytes inside: the Hugging Face `image` struct, or a plain binary column."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from curation.sources.files import find_files, mapped, open_location, uri_of
from curation.sources.listing import IndexRow, Listed, refused
from shared.errors import SourceError
from shared.images.image_table import read_image_table

if TYPE_CHECKING:
    from shared.images.table_cells import Format


class ParquetSource(Listed):
    """Parquet files that hold the images' bytes."""

    endings = (".parquet",)
    gathers = True
    kind: Literal["parquet"] = "parquet"
    """Parquet files with a column of image bytes: the Hugging Face layout, or a plain binary column."""
    column: str = ""
    """The column with the bytes, or the struct that has them in `bytes`; found by type when empty."""
    label_column: str = "label"
    """The column with the label; class numbers are named by the file's Hugging Face metadata. Ignored when absent."""

    def rows(self) -> Iterator[IndexRow]:
        """Yield the rows of each file, files in the order of their paths."""
        fs, path = open_location(self.url, self.title)
        files = find_files(fs, path, self.endings, self.title)
        if not files:
            raise SourceError(f"Source {self.title!r} needs Parquet files, but there are none at {self.url}.")
        columns = self.column, self.label_column
        for rows in mapped(
            fs, lambda file: table_rows(uri_of(fs, file.path), "parquet", file.stamp, *columns, self.title), files
        ):
            yield from rows


def table_rows(uri: str, form: "Format", stamp: str, column: str, label_column: str, title: str) -> list[IndexRow]:
    """Return a row for each image of a Parquet or Arrow file, and one for its damage. Raises SourceError."""
    table = read_image_table(uri, form, column, label_column, f"Source {title!r}")
    rows = [IndexRow(f"{uri}#{i}", uri, stamp, label, form, table.column, i) for i, label in enumerate(table.labels)]
    return [*rows, refused(uri, table.damage, stamp)] if table.damage else rows
