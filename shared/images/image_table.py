"""The columns of Parquet and Arrow files that hold images and labels, in the Hugging Face layout or a plain one."""

import json
from typing import TYPE_CHECKING, Any

from shared.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa


def image_column(schema: "pa.Schema", wanted: str, who: str, uri: str) -> str:
    """Return the column with the images' bytes: the wanted one, else by its name, else by its type.

    Raises SourceError when there is none.
    """
    candidates = [name for name in schema.names if _holds_bytes(schema.field(name).type)]
    chosen = wanted or next((name for name in ("image", "img", "bytes") if name in candidates), "")
    chosen = chosen or (candidates[0] if candidates else "")
    if chosen not in candidates:
        raise SourceError(
            f"Source {who!r} needs a column of image bytes in {uri}, got {wanted or schema.names}. "
            f"Set `column` to one of: {', '.join(candidates) or '(this file has none)'}."
        )
    return chosen


def class_labels(values: list[Any], schema: "pa.Schema", column: str) -> list[str | None]:
    """Return labels as text: a number is named where the Hugging Face metadata of the file names classes."""
    names = _class_names(schema, column)
    return [_label(value, names) for value in values]


def _label(value: Any, names: list[str]) -> str | None:
    if value is None or not names or not isinstance(value, int):
        return None if value is None else str(value)
    if value < 0:  # what Hugging Face writes for "no label"
        return None
    return names[value] if value < len(names) else str(value)


def _holds_bytes(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: "pa.Schema", column: str) -> list[str]:
    try:
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except ValueError:
        return []
    feature = told.get("info", {}).get("features", {}).get(column, {})
    names: list[str] = feature.get("names", []) if isinstance(feature, dict) else []
    return names
