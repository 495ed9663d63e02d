"""Columns inside columns of a table: `sample.image` of a struct, `images[1]` of a list, and what holds images there."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

DEEPEST = 4
STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d*)\]")


def split(path: str, names: list[str]) -> tuple[str, list[str | int]]:
    """Return the column of a table that a path starts in, and the steps from there: names, and places in a list."""
    if path in names:
        return path, []
    root = max((name for name in names if path.startswith((f"{name}.", f"{name}["))), key=len, default="")
    if not root:
        return path, []
    steps = [int(place) if place else name for name, place in STEP.findall(path[len(root) :]) if name or place]
    return root, steps


def walk(value: Any, steps: list[str | int]) -> Any:
    """Return what lies at the end of some steps in a cell; None where a step leads nowhere."""
    for step in steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def inner(array: Any, steps: list[str | int]) -> Any:
    """Return the array at the end of some names, of an array of structs; nulls where a struct is null."""
    import pyarrow.compute as pc

    for step in steps:
        array = pc.struct_field(array, step)
    return array


def image_paths(schema: "pa.Schema") -> list[str]:
    """Return the paths of everything that may hold images; `[]` stands for each item of a list."""
    return [path for field in schema for path in _below(field.type, field.name, DEEPEST)]


def _below(kind: "pa.DataType", path: str, depth: int) -> Iterator[str]:
    import pyarrow as pa

    kind = plain_type(kind)
    if holds_bytes(kind):
        yield path
    elif depth and pa.types.is_struct(kind):
        inside = kind.get_field_index("bytes")
        if inside >= 0 and (
            holds_bytes(plain_type(kind.field(inside).type)) or pa.types.is_null(kind.field(inside).type)
        ):
            yield path
        else:
            for i in range(kind.num_fields):
                yield from _below(kind.field(i).type, f"{path}.{kind.field(i).name}", depth - 1)
    elif depth and is_list(kind) and "[]" not in path:
        yield from _below(kind.value_type, f"{path}[]", depth - 1)


def plain_type(kind: "pa.DataType") -> "pa.DataType":
    """Return the type of the values of a dictionary; any other type as it is."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def holds_bytes(kind: "pa.DataType") -> bool:
    """Tell whether cells of a type are bytes."""
    import pyarrow as pa

    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def is_list(kind: "pa.DataType") -> bool:
    """Tell whether cells of a type are lists, of any of Arrow's kinds."""
    import pyarrow as pa

    tests = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    return any(getattr(pa.types, test)(kind) for test in tests)
