"""Columns have equal digests exactly where their values are equal, however they are stored."""

import struct
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schema import FLOAT, HASH, INT, LONG, SCORES, TEXT, VECTOR, WORD, Contract
from shared.tables.column_digests import DIGEST, column_digests

KINDS = (FLOAT, HASH, INT, LONG, SCORES, TEXT, VECTOR, WORD, "bool")
FLOATS = st.floats(width=16, allow_nan=False) | st.sampled_from([0.0, -0.0, float("nan")])
VALUES = {
    FLOAT: FLOATS,
    HASH: st.binary(min_size=8, max_size=8),
    INT: st.integers(-1, 1),
    LONG: st.integers(-1, 1),
    SCORES: st.lists(FLOATS, max_size=3),
    TEXT: st.text("ab", max_size=3),
    VECTOR: st.lists(FLOATS, max_size=3),
    WORD: st.sampled_from(["", "a", "b"]),
    "bool": st.booleans(),
}


def column(kind, values, cuts=(), padded=False):
    """Return values as a column of chunks that end at the cuts; `padded` ones are slices of larger arrays."""
    schema = Contract("any", {"any": kind}).schema
    edges = [0, *sorted(cut for cut in cuts if cut <= len(values)), len(values)]
    chunks = [values[begin:end] for begin, end in pairwise(edges)]
    if not padded:
        return pa.chunked_array([pa.array(chunk, schema.types[0]) for chunk in chunks], schema.types[0])
    more = [value for value in values if value is not None][:1] or [None]
    arrays = [pa.array([*more, *chunk, *more], schema.types[0]).slice(1, len(chunk)) for chunk in chunks]
    return pa.chunked_array(arrays, schema.types[0])


def digest(kind, values, **stored):
    return column_digests(pa.table({"any": column(kind, values, **stored)}))


def bits(value):
    """Return what tells a value from others, to the bits of a number."""
    if isinstance(value, list):
        return tuple(map(bits, value))
    return struct.pack("e", value) if isinstance(value, float) else value


@settings(deadline=None)
@given(st.data())
def test_columns_have_one_digest_where_their_values_are_equal_to_the_bit(data):
    kind = data.draw(st.sampled_from(KINDS))
    columns = st.lists(st.none() | VALUES[kind], max_size=6)
    one = data.draw(columns)
    other = data.draw(st.just(one) | columns | st.permutations(one))
    cuts, padded = data.draw(st.lists(st.integers(0, 6), max_size=3)), data.draw(st.booleans())
    equal = list(map(bits, one)) == list(map(bits, other))
    assert (digest(kind, one) == digest(kind, other, cuts=cuts, padded=padded)) == equal


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (TEXT, [None], [""]),
        (INT, [None], [0]),
        (FLOAT, [0.0], [-0.0]),
        (FLOAT, [None], [float("nan")]),
        (TEXT, ["a", "bc"], ["ab", "c"]),
        (TEXT, ["a", None], [None, "a"]),
        (VECTOR, [[1.0], [2.0, 3.0]], [[1.0, 2.0], [3.0]]),
        (VECTOR, [None, [1.0]], [[], [1.0]]),
        (VECTOR, [[None, 1.0]], [[1.0, None]]),
        (INT, [0], [0, 0]),
        ("bool", [False], [False, False]),
    ],
)
def test_what_is_easily_taken_for_equal_is_not(kind, one, other):
    assert digest(kind, one) != digest(kind, other)
    both = [*one, *other, *one]
    assert digest(kind, both) == digest(kind, both, padded=True) == digest(kind, both, cuts=(1,), padded=True)


def test_a_nan_is_itself():
    assert digest(FLOAT, [float("nan")]) == digest(FLOAT, [float("nan")])


def test_the_order_of_words_in_a_dictionary_tells_nothing():
    one, other = (
        pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), words)
        for places, words in (([0, 1, 0], ["a", "b"]), ([2, 0, 2], ["b", "unused", "a"]))
    )
    assert column_digests(pa.table({"word": one})) == column_digests(pa.table({"word": other}))
    assert column_digests(pa.table({"word": one})) == digest(TEXT, ["a", "b", "a"])


def test_what_lies_under_a_null_tells_nothing():
    values, empty = pa.array([7, 8], pa.int32()).buffers()[1], pa.py_buffer(b"\x01")
    one = pa.Array.from_buffers(pa.int32(), 2, [empty, values])
    assert column_digests(pa.table({"any": one})) == digest(INT, [7, None])


def test_each_column_has_its_own_digest_in_its_place():
    one, other = digest(INT, [1, 2]), digest(TEXT, ["a", "b"])
    table = pa.table({"number": column(INT, [1, 2]), "text": column(TEXT, ["a", "b"])})
    assert (column_digests(table), len(one)) == (one + other, DIGEST)


def test_a_type_that_no_table_has_is_refused():
    with pytest.raises(TypeError, match="needs a type of"):
        column_digests(pa.table({"any": pa.array([{"a": 1}])}))
