import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.stage_runner import memo as module
from shared.stage_runner import memo_runs
from shared.stage_runner.memo import Memo, key, pair_key
from shared.storage import Store

SCHEMA = pa.schema([("value", pa.int64()), ("word", pa.string())])
NUMBERS = st.lists(st.integers(0, 40), max_size=30)


def digest(number):
    return key(bytes([number % 3]), number.to_bytes(4))


def memo_in(folder):
    return Memo(Store(str(folder)), "memo/numbers", SCHEMA)


def remember(memo, numbers):
    rows = pa.table({"value": pa.array(numbers, pa.int64()), "word": pa.array([str(n) for n in numbers], pa.string())})
    memo.append(pa.array([digest(n) for n in numbers], pa.binary(16)), rows)


def compact(memo):
    if len(memo.runs()) > 1:
        memo.merge(memo.runs())


def recalled(memo, numbers):
    positions, rows = memo.lookup(pa.array([digest(n) for n in numbers], pa.binary(16)))
    assert rows.schema == SCHEMA
    assert rows["word"].to_pylist() == [str(value) for value in rows["value"].to_pylist()]
    return list(zip(positions.to_pylist(), rows["value"].to_pylist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(NUMBERS, st.none()), max_size=6), NUMBERS)
def test_a_memo_says_what_a_dictionary_would_say(tmp_path_factory, actions, asked):
    memo, known = memo_in(tmp_path_factory.mktemp("memo")), set()
    for numbers in actions:
        if numbers is None:
            compact(memo)
            assert len(memo.runs()) <= 1
        else:
            remember(memo, numbers)
            known |= set(numbers)
    assert recalled(memo, asked) == [(place, number) for place, number in enumerate(asked) if number in known]


def test_keys_of_one_near_fact_stand_together_and_all_facts_count():
    keys = [key(near, fact) for near in (b"a.tar", b"b.tar") for fact in (b"0", b"1")]
    assert len({k[:4] for k in keys}) == 2
    assert len(set(keys)) == 4
    assert key(b"ab", b"c") != key(b"a", b"bc")


def test_a_pair_has_one_key_in_both_orders_and_another_for_another_judge():
    one, another = b"x" * 16, b"y" * 16
    assert pair_key(one, another, b"v1") == pair_key(another, one, b"v1") != pair_key(one, another, b"v2")


def test_what_a_killed_writer_leaves_is_no_run(tmp_path):
    memo = memo_in(tmp_path)
    remember(memo, [1, 2])
    (tmp_path / "memo/numbers/.tmp-half").write_bytes(b"ARROW1")
    assert recalled(memo, [1, 2, 3]) == [(0, 1), (1, 2)]


def test_a_compaction_that_is_killed_before_it_deletes_changes_no_answer(tmp_path):
    memo = memo_in(tmp_path)
    remember(memo, [1, 2, 3])
    remember(memo, [3, 4])
    shutil.copytree(tmp_path / "memo", tmp_path / "before")
    compact(memo)
    for run in (tmp_path / "before/numbers").iterdir():
        shutil.copy(run, tmp_path / "memo/numbers")
    assert len(memo.runs()) == 3
    assert recalled(memo, range(6)) == [(1, 1), (2, 2), (3, 3), (4, 4)]
    compact(memo)
    assert len(memo.runs()) == 1


def test_a_run_that_is_compacted_away_while_it_is_read_is_no_miss(tmp_path, monkeypatch):
    memo = memo_in(tmp_path)
    remember(memo, [1])
    remember(memo, [2])
    stale, calls = memo.runs(), []
    compact(memo)
    fresh = memo.runs()
    monkeypatch.setattr(Memo, "runs", lambda self: calls.append(0) or (stale if len(calls) == 1 else fresh))
    assert recalled(memo, [1, 2]) == [(0, 1), (1, 2)]


def test_the_same_rows_are_the_same_file(tmp_path):
    memo = memo_in(tmp_path)
    remember(memo, [5, 6])
    (run,) = memo.runs()
    before = Path(tmp_path, "memo/numbers", run).read_bytes()
    remember(memo, [6, 5])
    assert memo.runs() == [run]
    assert Path(tmp_path, "memo/numbers", run).read_bytes() == before


def test_a_large_run_is_read_over_many_batches(tmp_path):
    memo = Memo(Store(str(tmp_path)), "memo", pa.schema([("value", pa.int64())]))
    keys = np.random.default_rng(0).integers(0, 256, (200_000, 16), dtype=np.uint8)
    whole = pa.array([k.tobytes() for k in keys], pa.binary(16))
    memo.append(whole, pa.table({"value": np.arange(len(keys))}))
    positions, rows = memo.lookup(whole)
    assert positions.to_pylist() == rows["value"].to_pylist() == list(range(len(keys)))


def test_runs_that_were_not_listed_are_not_opened(tmp_path, monkeypatch):
    memo = memo_in(tmp_path)
    remember(memo, [1])
    before = Memo(memo.store, memo.folder, SCHEMA, tuple(memo.runs()))
    remember(memo, [2])
    opened, plain = [], memo_runs.open_run
    monkeypatch.setattr(module, "open_run", lambda store, name, **how: opened.append(name) or plain(store, name, **how))
    assert recalled(before, [1, 2]) == [(0, 1)]
    assert len(opened) == 1
    compact(memo)
    assert recalled(before, [1, 2]) == [(0, 1), (1, 2)]  # the run that was listed is gone: what is there counts


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=300), min_size=2, max_size=6))
def test_runs_merged_span_by_span_hold_what_all_held(tmp_path_factory, several):
    memo = memo_in(tmp_path_factory.mktemp("memo"))
    for numbers in several:
        remember(memo, numbers)
    limits, memo_runs.SPAN_ROWS, memo_runs.SAMPLED = (memo_runs.SPAN_ROWS, memo_runs.SAMPLED), 64, 8
    try:
        compact(memo)
    finally:
        memo_runs.SPAN_ROWS, memo_runs.SAMPLED = limits
    everything = sorted({number for numbers in several for number in numbers})
    assert recalled(memo, everything) == list(enumerate(everything))
    (run,) = memo.runs()
    assert len(memo_runs.open_run(memo.store, f"memo/numbers/{run}").span(None, None)) == len(everything)


def test_small_runs_are_merged_and_a_large_one_stays(tmp_path):
    memo = memo_in(tmp_path)
    remember(memo, list(range(20_000)))
    large = memo.runs()
    for number in range(module.RUNS):
        remember(memo, [number])
    (group,) = memo.groups()
    assert len(group) == module.RUNS
    assert set(large).isdisjoint(group)
    memo.merge(group)
    assert len(memo.runs()) == 2
    assert memo.groups() == []


def test_a_run_of_short_rows_is_fetched_once_and_whole(monkeypatch):
    memo = Memo(Store("memory://short"), "memo/numbers", SCHEMA, whole=True)
    remember(memo, range(20))
    fetched, plain = [], Store.fetched
    monkeypatch.setattr(Store, "fetched", lambda store, name: fetched.append(name) or plain(store, name))
    monkeypatch.setattr(Store, "read_range", None)
    for asked in ([3, 30], [30, 5, 4], range(20)):
        assert recalled(memo, asked) == [(place, number) for place, number in enumerate(asked) if number < 20]
    assert len(fetched) == 1
