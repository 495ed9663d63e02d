"""What a Parquet or Arrow file says of its images: their column and their labels, in Hugging Face's layout or a plain
one. Whoever reads such a table, to curate or to evaluate, reads it here.
"""

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

    from shared.images.table_cells import Format

NAMES = ("image", "img", "bytes")
"""Columns that are taken for the images' before any other column that holds bytes."""
DAMAGE: "dict[Format, str]" = {
    "parquet": "not a Parquet file that can be read",
    "arrow": "an Arrow file that cannot be read",
}


class ImageTable(NamedTuple):
    """The images of one file."""

    column: str
    """The column that holds their bytes; empty where the file cannot be opened."""
    labels: list[str | None]
    """The label of each row that can be read, in the order of the file."""
    columns: list[str]
    """The names of all columns."""
    has_labels: bool
    """Whether the column of labels that was asked for is one of them."""
    damage: str | None = None
    """Why there are no rows behind these, where the file is damaged."""


def read_image_table(path: str, form: "Format", column: str, label_column: str, who: str) -> ImageTable:
    """Read the columns' names and every label; no image. A damaged file gives the rows before the damage.

    Raises SourceError where no column holds images, or where the one that is asked for does not.
    """
    import pyarrow as pa

    from shared.images.table_cells import open_table

    found, labels, names = "", list[str | None](), list[str]()
    try:
        table = open_table(path, form)
        with closing(table.file):
            names = table.schema.names
            found = image_column(table.schema, column, who, path)
            if label_column in names:
                for values in table.arrays(label_column):
                    labels += class_labels(values.to_pylist(), table.schema, label_column)
            else:
                for rows in table.lengths():
                    labels += [None] * rows
    except (OSError, pa.ArrowException) as error:
        return ImageTable(found, labels, names, label_column in names, f"{DAMAGE[form]}: {error}"[:300])
    return ImageTable(found, labels, names, label_column in names)


def image_column(schema: "pa.Schema", wanted: str, who: str, path: str) -> str:
    """Return the column with the images' bytes: the wanted one, else by its name, else the first by its type.

    Raises SourceError when there is none.
    """
    candidates = [name for name in schema.names if _holds_bytes(schema.field(name).type)]
    chosen = wanted or next((name for name in NAMES if name in candidates), "")
    chosen = chosen or (candidates[0] if candidates else "")
    if chosen not in candidates:
        raise SourceError(
            f"{who} needs a column of image bytes in {path}, got {wanted or ', '.join(schema.names)}. "
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
        inside = kind.get_field_index("bytes")
        return inside >= 0 and _holds_bytes(kind.field(inside).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: "pa.Schema", column: str) -> list[str]:
    """Return the names of classes by their numbers; none where the metadata is not what `datasets` writes."""
    try:
        facts: Any = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except ValueError:
        return []
    for key in ("info", "features", column, "names"):
        facts = facts.get(key) if isinstance(facts, dict) else None
    return [str(name) for name in facts] if isinstance(facts, list) else []
