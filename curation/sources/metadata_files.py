"""`metadata.jsonl` and `metadata.csv`, as Hugging Face's imagefolder reads them: a row for each image by file_name.

And the text in which what is kept of an image travels: one JSON object.
"""

import csv
import io
import json
import math
from collections.abc import Iterable
from typing import Any

NAMES = ("metadata.jsonl", "metadata.csv")
FILE_NAME = "file_name"
LABELS = ("label", "labels", "class", "class_name", "category", "fine_label", "target")
"""Columns that are taken for labels, where nobody names one, in this order."""

StatedRows = dict[str, dict[str, Any]]
"""What is said of each image, by its path below the source."""


def is_metadata(name: str) -> bool:
    """Tell a file of metadata by its name."""
    return name.rpartition("/")[2].lower() in NAMES


def read_metadata(name: str, data: bytes) -> StatedRows:
    """Return the rows of one file; paths in it start from its folder. A line that is no row says nothing."""
    folder = name.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    text = data.decode("utf-8-sig", "replace")
    rows: Iterable[Any] = csv.DictReader(io.StringIO(text)) if name.lower().endswith(".csv") else _lines(text)
    return {
        prefix + str(row[FILE_NAME]).removeprefix("./"): {key: row[key] for key in row if key != FILE_NAME}
        for row in rows
        if isinstance(row, dict) and row.get(FILE_NAME)
    }


def label_column(columns: Iterable[str]) -> str | None:
    """Return the column that is taken for the label, where nobody names one."""
    present = set(columns)
    return next((name for name in LABELS if name in present), None)


def as_json(values: dict[str, Any]) -> str | None:
    """Return what is kept of an image as one line of JSON; None for nothing."""
    kept = {str(key): plain for key, value in values.items() if (plain := _plain(value)) is not None}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True) if kept else None


def _lines(text: str) -> Iterable[Any]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _plain(value: Any) -> Any:
    """Return a value that JSON can write; bytes are left out, other things become their text."""
    if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
