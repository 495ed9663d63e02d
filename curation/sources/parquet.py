"""Parquet files with the images' bytes inside: the Hugging Face `image` struct, or a plain binary column."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import model_validator

from curation.sources.archives import find_files
from curation.sources.files import SourceFile, mapped, open_location, uri_of
from curation.sources.label_rule import former_labels
from curation.sources.listing import IndexRow, Listed
from curation.sources.notes import Notes
from curation.sources.table_rows import LABEL_WORDS, TableListing, table_rows
from shared.errors import SourceError
from shared.images.image_table import NoImagesError


class ParquetSource(Listed):
    """Parquet files that hold the images' bytes."""

    endings = (".parquet",)
    gathers = True
    label_words = LABEL_WORDS

    kind: Literal["parquet"] = "parquet"
    """Parquet files with a column of image bytes: the Hugging Face layout, or a plain binary column.
    label: auto is the column label, fine_label, class or category, else what a folder label=cat says."""
    column: str = ""
    """The column with the bytes, or the struct that has them in `bytes`; inside of a struct a.b; found by name and
    type when empty."""

    @model_validator(mode="before")
    @classmethod
    def _former_keys(cls, given: Any) -> Any:
        return former_labels(given, {"label_column": "column:{}".format})

    def rows(self, notes: Notes) -> Iterator[IndexRow]:
        """Yield the rows of each file, files in the order of their paths; a table without images is noted."""
        fs, path = open_location(self.url, self.title)
        root = path if fs.isdir(path) else path.rpartition("/")[0]
        files = find_files(fs, path, self, notes)
        if not files:
            raise SourceError(
                f"Source {self.title!r} needs Parquet files, but there are none at {self.url}{notes.aside}."
            )
        reasons: list[NoImagesError] = []
        for file, listing in zip(files, mapped(fs, lambda file: self._table(fs, root, file), files), strict=True):
            if isinstance(listing, NoImagesError):
                reasons.append(listing)
                notes.pass_over(_below(root, file), "table")
                continue
            notes.merge(listing.notes)
            yield from listing.rows
        if len(reasons) == len(files):
            raise reasons[0]

    def _table(self, fs: Any, root: str, file: SourceFile) -> TableListing | NoImagesError:
        uri = uri_of(fs, file.path)
        try:
            return table_rows(self, self.column, uri, "parquet", file.stamp, _below(root, file))
        except NoImagesError as error:
            return error


def _below(root: str, file: SourceFile) -> str:
    return file.path.removeprefix(root.rstrip("/") + "/")
