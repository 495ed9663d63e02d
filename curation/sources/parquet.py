"""Parquet files with the images' bytes inside: the Hugging Face `image` struct, or a plain binary column."""

from collections.abc import Iterator
from typing import Any, Literal

from curation.sources.files import Found, find_files, mapped, open_location, uri_of
from curation.sources.listing import Listed, Row, refused
from shared.errors import SourceError
from shared.images.image_table import class_labels, image_column


class ParquetSource(Listed):
    """Parquet files that hold the images' bytes."""

    kind: Literal["parquet"] = "parquet"
    """Parquet files with a column of image bytes: the Hugging Face layout, or a plain binary column."""
    column: str = ""
    """The column with the bytes, or the struct that has them in `bytes`; found by type when empty."""
    label_column: str = "label"
    """The column with the label; class numbers are named by the file's Hugging Face metadata. Ignored when absent."""

    def rows(self) -> Iterator[Row]:
        """Yield the rows of each file, files in the order of their paths."""
        fs, path = open_location(self.url, self.title)
        files = find_files(fs, path, (".parquet",), self.title)
        if not files:
            raise SourceError(f"Source {self.title!r} needs Parquet files, but there are none at {self.url}.")
        for listed in mapped(fs, lambda file: self._file(fs, file), files):
            yield from listed

    def _file(self, fs: Any, file: Found) -> list[Row]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        uri = uri_of(fs, file.path)
        try:
            with fs.open(file.path, "rb") as opened:
                parquet = pq.ParquetFile(opened)
                schema, count = parquet.schema_arrow, parquet.metadata.num_rows
                member = image_column(schema, self.column, self.title, uri)
                labels: list[str | None] = [None] * count
                if self.label_column in schema.names:
                    values = parquet.read(columns=[self.label_column])[self.label_column].to_pylist()
                    labels = class_labels(values, schema, self.label_column)
        except (OSError, pa.ArrowException) as error:
            return [refused(uri, f"not a Parquet file that can be read: {error}"[:300], file.stamp)]
        return [Row(f"{uri}#{i}", uri, file.stamp, label, "parquet", member, i) for i, label in enumerate(labels)]
