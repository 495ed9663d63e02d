"""Parquet files with the images' bytes inside: the Hugging Face `image` struct, or a plain binary column."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from curation.sources.folder import _stamp
from curation.sources.listing import Listed, cuts, listing
from shared.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


class ParquetSource(Listed):
    """Parquet files that hold the images' bytes."""

    kind: Literal["parquet"] = "parquet"
    """Parquet files with a column of image bytes: the Hugging Face layout, or a plain binary column."""
    column: str = ""
    """The column with the bytes, or the struct that has them in `bytes`; found by type when empty."""
    label_column: str = "label"
    """The column with the label; class numbers are named by the file's Hugging Face metadata. Ignored when absent."""

    def tables(self, part_images: int) -> Iterator["pa.Table"]:
        """Yield the rows of each file, files in the order of their paths. Parts never span files."""
        import fsspec

        fs, root = fsspec.core.url_to_fs(self.url)
        paths = [root] if root.endswith(".parquet") else sorted(fs.glob(f"{root.rstrip('/')}/**/*.parquet"))
        if not paths or not fs.exists(paths[0]):
            raise SourceError(f"Source {self.title!r} needs Parquet files, but there are none at {self.url}.")
        for path in paths:
            yield from self._file(fs, str(path), part_images)

    def _file(self, fs: Any, path: str, part_images: int) -> Iterator["pa.Table"]:
        import pyarrow.parquet as pq

        uri = path if "file" in fs.protocol else fs.unstrip_protocol(path)
        with fs.open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
            member = self._member(parquet.schema_arrow, uri)
            rows = parquet.metadata.num_rows
            labels = self._labels(parquet, rows)
        stamp = _stamp(fs.info(path))
        uris = [f"{uri}#{row}" for row in range(rows)]
        for start, end in cuts(uris, part_images):
            count = end - start
            columns: dict[str, Any] = {
                "uri": uris[start:end],
                "source": [self.title] * count,
                "label": labels[start:end],
                "reader": ["parquet"] * count,
                "path": [uri] * count,
                "member": [member] * count,
                "offset": list(range(start, end)),
                "stamp": [stamp] * count,
            }
            yield listing(columns, count)

    def _member(self, schema: "pa.Schema", uri: str) -> str:
        candidates = [name for name in schema.names if _holds_bytes(schema.field(name).type)]
        wanted = self.column or next((n for n in ("image", "img", "bytes") if n in candidates), "")
        wanted = wanted or (candidates[0] if candidates else "")
        if wanted not in candidates:
            raise SourceError(
                f"Source {self.title!r} needs a column of image bytes in {uri}, got {self.column or schema.names}. "
                f"Set `column` to one of: {', '.join(candidates) or '(this file has none)'}."
            )
        return wanted

    def _labels(self, parquet: "pq.ParquetFile", rows: int) -> list[str | None]:
        schema = parquet.schema_arrow
        if self.label_column not in schema.names:
            return [None] * rows
        values = parquet.read(columns=[self.label_column])[self.label_column].to_pylist()
        names = _class_names(schema, self.label_column)
        return [None if v is None else names[v] if names and isinstance(v, int) and v >= 0 else str(v) for v in values]


def _holds_bytes(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: "pa.Schema", column: str) -> list[str]:
    """Return the names of a Hugging Face ClassLabel, which stand in the schema's metadata."""
    told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = told.get("info", {}).get("features", {}).get(column, {})
    names: list[str] = feature.get("names", []) if isinstance(feature, dict) else []
    return names
