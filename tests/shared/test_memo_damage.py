"""A damaged run of a memo is found by whoever reads it, left out and said: no wrong row is ever given."""

import logging

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import DamagedFileError
from shared.stage_runner import memo_runs
from shared.stage_runner.memo import Memo, key
from shared.stage_runner.memo_runs import check_run
from shared.storage import Store, paged_file

SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("word", pa.string()),
        ("vector", pa.list_(pa.float16())),
        ("even", pa.bool_()),
        ("digest", pa.binary(24)),
    ]
)
ROWS = 300
KEYS = [key(bytes([number % 5]), number.to_bytes(4)) for number in range(2 * ROWS)]


@pytest.fixture(scope="module", autouse=True)
def small_pages():
    """Cut small files into many pages, so that those which are not checked show."""
    kept, paged_file.PAGE = paged_file.PAGE, 64
    yield
    paged_file.PAGE = kept


def made(numbers):
    """Return what a dear function says of numbers: some words and vectors are null."""
    columns = [
        list(numbers),
        [None if n % 7 == 0 else "ä" * (n % 11) for n in numbers],
        [None if n % 5 == 0 else np.full(n % 9, n, np.float16) for n in numbers],
        [None if n % 3 == 0 else n % 2 == 0 for n in numbers],
        [n.to_bytes(24) for n in numbers],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def remember(memo, numbers):
    memo.append(pa.array([KEYS[n] for n in numbers], pa.binary(16)), made(numbers))


def asked(memo, numbers):
    """Return what a stage gives: remembered rows, and the others made again and remembered."""
    places, rows = memo.lookup(pa.array([KEYS[n] for n in numbers], pa.binary(16)))
    new = np.setdiff1d(np.arange(len(numbers)), places.to_numpy()).tolist()
    remember(memo, [numbers[place] for place in new])
    order = np.argsort(np.concatenate([places.to_numpy(), np.array(new, np.int64)]), kind="stable")
    return pa.concat_tables([rows, made([numbers[place] for place in new])]).take(pa.array(order)), new


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the bytes of the runs of two halves and of both merged, by name."""
    memo = Memo(Store(str(tmp_path_factory.mktemp("memo"))), "memo", SCHEMA)
    remember(memo, range(ROWS))
    remember(memo, range(ROWS, 2 * ROWS))
    return {run: memo.store.read(f"memo/{run}") for run in memo.runs()}


def in_store(url, contents, whole=False):
    memo_runs._opened.cache_clear()
    memo = Memo(Store(url), "memo", SCHEMA, whole=whole)
    memo.store.delete("memo")
    for run, data in contents.items():
        memo.store.write(f"memo/{run}", data)
    return memo


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    most=st.sampled_from([1, 40, 2 * ROWS]),
    remote=st.booleans(),
    merged=st.booleans(),
    whole=st.booleans(),
)
def test_whatever_bit_of_a_run_is_flipped_what_is_asked_is_as_from_scratch(
    written, tmp_path_factory, seed, most, remote, merged, whole
):
    (first, data), *others = written.items()
    rng = np.random.default_rng(seed)
    byte, numbers = int(rng.integers(len(data))), rng.permutation(2 * ROWS)[:most].tolist()
    damaged = {first: data[:byte] + bytes([data[byte] ^ 1 << rng.integers(8)]) + data[byte + 1 :]} | dict(others)
    memo = in_store("memory://damage" if remote else str(tmp_path_factory.mktemp("memo")), damaged, whole)
    with pytest.raises(DamagedFileError, match=first):
        check_run(memo.store, f"memo/{first}")
    if merged:
        memo.merge(memo.runs())
        assert memo.runs() == sorted(run for run, _ in others)
    for _ in range(2):
        found, new = asked(memo, numbers)
        assert found.equals(made(numbers))
    assert not new


@pytest.mark.parametrize("url", ["{}", "memory://cut"])
def test_a_run_that_is_cut_short_is_left_out_wherever_it_ends(written, tmp_path, url):
    (first, data), *others = written.items()
    for length in (0, 1, 60, 1000, len(data) // 2, len(data) - 40, len(data) - 1):
        memo = in_store(url.format(tmp_path / str(length)), {first: data[:length]} | dict(others))
        found, new = asked(memo, range(2 * ROWS))
        assert found.equals(made(range(2 * ROWS)))
        assert len(new) == ROWS
        assert not asked(memo, range(2 * ROWS))[1]


def test_damage_is_said_in_one_line_and_a_whole_run_says_nothing(written, tmp_path, caplog):
    memo = in_store(str(tmp_path), written)
    with caplog.at_level(logging.WARNING):
        assert not asked(memo, range(2 * ROWS))[1]
        assert not caplog.messages
        (first, data), *others = written.items()
        memo = in_store(str(tmp_path), {first: data[:1000] + b"damage" + data[1006:]} | dict(others))
        for _ in range(2):
            asked(memo, range(2 * ROWS))
    assert caplog.messages == [f"memo/{first} has other bytes than were written: its rows are made again"]


def test_a_lookup_reads_the_pages_of_its_rows_and_not_the_others(tmp_path):
    schema = pa.schema([("vector", pa.binary(256))])
    memo = Memo(Store(str(tmp_path)), "memo", schema)
    keys = pa.array(sorted(KEYS), pa.binary(16))
    memo.append(keys, pa.table({"vector": pa.array([bytes(256)] * len(keys), pa.binary(256))}))
    (run,) = memo.runs()
    memo.lookup(keys.take(pa.array([100, 400])))
    file = memo_runs.open_run(memo.store, f"memo/{run}").file
    keys_and_metadata = 16 * len(keys) // paged_file.PAGE + 8
    assert 2 * 256 // paged_file.PAGE <= file.good.sum() <= keys_and_metadata + 2 * 5 < len(file.good) / 10
