"""Reads what runs leave behind, however unfinished: a missing or half-written file is an empty one."""

import json
import math
from collections.abc import Iterator
from typing import Any

from shared.errors import DamagedFileError
from shared.storage import Store
from shared.storage.checked_json import read_facts

WHOLE = 8 << 20
"""A metrics file up to this size is read whole; of a larger one only evenly spaced pieces."""
PIECES, PIECE = 600, 8 << 10


def facts(store: Store, name: str) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one where there is none."""
    if not store.exists(name):
        return {}
    try:
        return read_facts(store, name)
    except DamagedFileError:
        return {}


def rows(store: Store, name: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a file of lines; what is cut off or no object is left out."""
    if not store.exists(name):
        return []
    parsed = (_object(line) for piece in _pieces(store, name) for line in piece.splitlines())
    return [row for row in parsed if row]


def column(table: list[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """Return steps and values of a key, where a row has both as finite numbers; of a step told twice, the later."""
    points = {
        float(row["step"]): float(row[key])
        for row in table
        if key in row and is_number(row[key]) and is_number(row.get("step"))
    }
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def is_number(value: Any) -> bool:
    """Tell a finite number from everything else."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _pieces(store: Store, name: str) -> Iterator[bytes]:
    size = int(store.fs.size(store.path(name)))
    if size <= WHOLE:
        yield store.read(name)
        return
    for number in range(PIECES):
        start = (size - PIECE) * number // (PIECES - 1)
        piece = store.read_range(name, start, PIECE)
        yield piece if number == 0 else piece.partition(b"\n")[2]


def _object(data: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
