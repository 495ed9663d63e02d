"""What a Parquet or Arrow file says of its images: their column, labels and more, in Hugging Face's layout or a plain
one. Whoever reads such a table, to curate or to evaluate, reads it here.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.errors import SourceError
from shared.images.column_path import image_paths, plain_type, split
from shared.images.image_files import MASK_WORDS

if TYPE_CHECKING:
    import pyarrow as pa

    from shared.images.table_cells import Format, TableFile

NAMES = ("image", "img", "bytes", "pixel_values", "picture", "photo", "jpg", "jpeg", "png", "webp")
"""Columns that are taken for the images' before any other column that holds bytes."""
DAMAGE: "dict[Format, str]" = {
    "parquet": "not a Parquet file that can be read",
    "arrow": "an Arrow file that cannot be read",
}


class NoImagesError(SourceError):
    """A table has no column of images, or not the one that is asked for."""


@dataclass
class ImageTable:
    """The images of one file."""

    column: str = ""
    """The path of what holds their bytes, `[]` for each item of a list; empty where the file cannot be opened."""
    others: list[str] = field(default_factory=list)
    """What else might hold images."""
    columns: list[str] = field(default_factory=list)
    """The names of all columns."""
    label_column: str = ""
    """The first of the columns of labels that were asked for which the file has."""
    labels: list[str | None] = field(default_factory=list)
    """The label of each row that can be read, in the order of the file; none of a list, a struct or bytes."""
    is_labelled: bool = True
    """Whether the column of labels holds something that can be one."""
    counts: list[int] | None = None
    """How many images each row holds, where that is a list."""
    kept: list[dict[str, Any]] | None = None
    """What else is to be kept of each row."""
    damage: str | None = None
    """Why there are no rows behind these, where the file is damaged."""


def read_image_table(
    path: str,
    form: "Format",
    who: str,
    column: str = "",
    label_columns: Sequence[str] = (),
    keeps: Callable[[str], bool] | None = None,
) -> ImageTable:
    """Read the columns' names, every label and what is kept; no image. A damaged file gives the rows before the damage.

    Raises NoImagesError where no column holds images, or where the one that is asked for does not.
    """
    import pyarrow as pa

    from shared.images.table_cells import open_table

    read = ImageTable()
    try:
        table = open_table(path, form)
        with closing(table.file):
            read.columns = table.schema.names
            read.column, *read.others = _image_columns(table.schema, column, who, path)
            _read_rows(table, read, label_columns, keeps)
    except (OSError, pa.ArrowException) as error:
        read.damage = f"{DAMAGE[form]}: {error}"[:300]
    return read


def _read_rows(
    table: "TableFile", read: ImageTable, label_columns: Sequence[str], keeps: Callable[[str], bool] | None
) -> None:
    root, _ = split(read.column, read.columns)
    nested = [f"{read.column.rpartition('.')[0]}.{name}" for name in label_columns if "." in read.column]
    read.label_column = next((name for name in (*label_columns, *nested) if _has(table.schema, name)), "")
    if "[]" in read.column:
        read.counts = []
        for array in table.lists(read.column):
            read.counts += array.to_pylist()
    if keeps is not None:
        names = [name for name in read.columns if name != root and keeps(name)]
        read.kept = table.dicts(names)
    if read.label_column:
        for array in table.arrays(read.label_column):
            read.is_labelled = _is_word(array.type)
            values = array.to_pylist() if read.is_labelled else [None] * len(array)
            read.labels += class_labels(values, table.schema, read.label_column)
    else:
        for rows in table.lengths():
            read.labels += [None] * rows


def _has(schema: "pa.Schema", path: str) -> bool:
    root, steps = split(path, schema.names)
    if root not in schema.names:
        return False
    kind = schema.field(root).type
    for step in steps:
        if not hasattr(kind, "get_field_index") or kind.get_field_index(step) < 0:
            return False
        kind = kind.field(kind.get_field_index(step)).type
    return True


def _image_columns(schema: "pa.Schema", wanted: str, who: str, path: str) -> list[str]:
    """Return what holds images, the chosen one first: the wanted, else by name and type. Raises NoImagesError."""
    candidates = image_paths(schema)
    typed = {name for name, feature in _features(schema).items() if _is_image(feature)}
    if wanted:
        chosen = [name for name in candidates if wanted in (name, name.replace("[]", ""))]
        chosen = chosen or [name for name in candidates if name.startswith((f"{wanted}.", f"{wanted}["))]
        return chosen[:1] or _refuse(schema, candidates, wanted, who, path)
    if not candidates:
        return _refuse(schema, candidates, "", who, path)
    return sorted(candidates, key=lambda name: (_rank(name, typed), candidates.index(name)))


def _rank(path: str, typed: set[str]) -> tuple[bool, int, bool]:
    """Masks come last; then what is named as images are; then what `datasets` says is an image."""
    name = path.replace("[]", "").rpartition(".")[2].lower()
    words = set(name.replace("-", "_").split("_"))
    place = NAMES.index(name) if name in NAMES else len(NAMES)
    return bool(words & MASK_WORDS), place, path not in typed


def _refuse(schema: "pa.Schema", candidates: list[str], wanted: str, who: str, path: str) -> list[str]:
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
    raise NoImagesError(
        f"{who} needs a column of image bytes in {path}, got {wanted + ' of ' if wanted else ''}{columns[:300]}. "
        f"Set `column` to one of: {', '.join(candidates) or '(this file has none)'}."
    )


def class_labels(values: list[Any], schema: "pa.Schema", column: str) -> list[str | None]:
    """Return labels as text: a number is named where the Hugging Face metadata of the file names classes."""
    names = _class_names(schema, column)
    return [_label(value, names) for value in values]


def _label(value: Any, names: list[str]) -> str | None:
    if isinstance(value, int | float) and value < 0:  # what Hugging Face and others write for "no label"
        return None
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value < len(names):
        return names[value]
    return str(value)


def _is_word(kind: "pa.DataType") -> bool:
    """Tell whether values of a type can name a class: words and numbers."""
    import pyarrow as pa

    types, kind = pa.types, plain_type(kind)
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    return bool(is_text or is_number or types.is_null(kind))


def _features(schema: "pa.Schema") -> dict[str, Any]:
    """Return what `datasets` says of the columns; nothing where the metadata is not what it writes."""
    try:
        facts: Any = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except ValueError:
        return {}
    for key in ("info", "features"):
        facts = facts.get(key) if isinstance(facts, dict) else None
    return facts if isinstance(facts, dict) else {}


def _is_image(feature: Any) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "Image"


def _class_names(schema: "pa.Schema", column: str) -> list[str]:
    feature = _features(schema).get(column)
    names = feature.get("names") if isinstance(feature, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else []
