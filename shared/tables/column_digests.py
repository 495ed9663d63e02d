"""Digests of the values in the columns of a table: equal ones for equal values, however they are stored.

Chunks, the order of words in a dictionary, and what lies under a null do not count. Nulls, lengths and every bit of a
number do: 0 is not -0, which a function may tell apart, and a NaN is equal to itself.
"""

import base64
import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DIGEST = 12
"""Characters of a digest: 72 bits, so that one change in 5e21 goes unnoticed."""


def column_digests(table: pa.Table) -> str:
    """Return the digests of all columns in their order, one after the other."""
    return "".join(_digest(column) for column in table.columns)


def _digest(column: pa.ChunkedArray) -> str:
    column = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    values = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    state = hashlib.blake2b(digest_size=DIGEST * 6 // 8)
    _add(state, values)
    return base64.b64encode(state.digest()).decode()


def _add(state: Any, values: pa.Array) -> None:
    """Add type, number of values and of nulls first: so no two arrays give the same bytes."""
    state.update(f"{values.type} {len(values)} {values.null_count} ".encode())
    if values.null_count:
        state.update(np.packbits(values.is_valid().to_numpy(zero_copy_only=False)))
        values = values.drop_null()
    kind = values.type
    if pa.types.is_null(kind):
        return
    if pa.types.is_list(kind):
        state.update(pc.list_value_length(values).to_numpy())
        _add(state, values.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        state.update(pc.binary_length(values).to_numpy())
        state.update(_text(values))
    elif pa.types.is_boolean(kind):
        state.update(np.packbits(values.to_numpy(zero_copy_only=False)))
    elif pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind):
        width = kind.bit_width // 8
        state.update(_buffer(values, 1)[values.offset * width : (values.offset + len(values)) * width])
    else:
        raise TypeError(f"A column of a table needs a type of shared/schema.py, got {kind}.")


def _text(values: pa.Array) -> pa.Buffer:
    """Return the bytes of all words without what stands before and behind them."""
    if not len(values):
        return pa.py_buffer(b"")
    offsets = np.frombuffer(_buffer(values, 1), np.int32)
    return _buffer(values, 2)[int(offsets[values.offset]) : int(offsets[values.offset + len(values)])]


def _buffer(values: pa.Array, number: int) -> pa.Buffer:
    return values.buffers()[number] or pa.py_buffer(b"")
