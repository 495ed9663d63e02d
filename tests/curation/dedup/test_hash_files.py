"""Hashes that are exchanged give the pairs that all at once give, and no task holds more than it may."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup import hash_files, hash_pairs, hash_tables
from curation.dedup.hash_files import HashFiles
from curation.dedup.hash_pairs import near_hashes
from curation.dedup.hash_tables import HashTables
from shared.stage_runner import Rounds
from shared.storage import Store
from tests.curation.dedup.test_hash_pairs import hashes, of

ASKED, STORED, FILE_ROWS = 96, 24, 64
LIMITS = {"ASKED": ASKED, "STORED": STORED, "FILE_ROWS": FILE_ROWS, "IMAGES": 4, "GROUP_ROWS": 8, "SAMPLE": 100}
LIMITS |= {"COPIES": 2, "PENDING": 30, "BLOCK": 5, "TABLES": 2}


def limited(patch, tables=None):
    """Let tasks hold next to nothing, and search by given tables."""
    for name, value in LIMITS.items():
        for module in (hash_tables, hash_files, hash_pairs):
            if hasattr(module, name):
                patch.setattr(module, name, value)
    if tables is not None:
        patch.setattr(HashTables, "of", lambda *_: tables)


def search(folder, queries, stored, distance, run=map, most=7):
    found = near_hashes(Rounds(Store(str(folder)), "rounds", run), "hashes", queries, stored, distance, most)
    assert not list(folder.rglob("*.parquet"))
    return [column.tolist() for column in found]


def skewed(seed, count, flips):
    """Hashes of which a third have equal blocks, more than a task may hold."""
    rows = hashes(seed, count, flips)
    rows[: count // 3] &= np.tile(np.array([0, 0, 0, 1, 1, 255, 0, 3], np.uint8), 8)
    return rows


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    distance=st.sampled_from([0, 3, 6, 10]),
    equal=st.integers(0, 3),
    shared=st.integers(0, 2),
    sides=st.sampled_from([(120, None), (40, 90), (120, 3), (60, 0), (0, 60)]),
)
def test_a_task_that_may_hold_little_finds_with_others_what_one_finds(
    tmp_path_factory, seed, distance, equal, shared, sides
):
    folder = tmp_path_factory.mktemp("hashes")
    rows = skewed(seed, sides[0] + (sides[1] or 0), distance + 4)
    queries = of(rows[: sides[0]])
    stored = queries if sides[1] is None else of(rows[sides[0] :], first=sides[0] - 20)
    whole = search(folder, queries, stored, distance)
    with pytest.MonkeyPatch.context() as patch:
        limited(patch, HashTables(distance, equal, min(shared, equal)))
        matches = HashTables.matches

        def held(self, stored, queries, table):
            assert len(stored) <= STORED
            assert len(queries) <= ASKED
            return matches(self, stored, queries, table)

        patch.setattr(HashTables, "matches", held)
        assert search(folder, queries, stored, distance, lambda fn, items: map(fn, list(items)[::-1])) == whole


def test_what_a_task_reads_is_its_span_and_what_travels_is_names(tmp_path, monkeypatch):
    """Whatever the hashes of all images."""
    limited(monkeypatch, HashTables(6, 3, 2))
    monkeypatch.setattr(hash_files, "SAMPLE", 10_000)
    rows, read, work, sizes = hashes(3, 150, 9), HashFiles._read, {}, []

    def run(fn, items):
        for item in items:
            read_rows = work.setdefault(fn.__name__, [])
            read_rows.append(0)
            monkeypatch.setattr(HashFiles, "_read", lambda *some, rows=read_rows: counted(rows, *some))
            result = fn(item)
            sizes.extend((len(pickle.dumps((fn, item))), len(pickle.dumps(result))))
            yield result

    def counted(read_rows, files, number):
        some = read(files, number)
        assert len(some[0]) <= FILE_ROWS
        read_rows[-1] += len(some[0])
        assert read_rows[-1] <= ASKED + STORED
        return some

    long = tmp_path / "stages/candidates/rounds-0123456789abcdef0123"
    long.mkdir(parents=True)
    queries = of(rows)
    search(long, queries, queries, 6, run)
    assert work.keys() == {"copy_hashes", "hash_work"}
    assert max(work["copy_hashes"]) == FILE_ROWS
    assert len(work["hash_work"]) > 28 * 9 * len(rows) / (ASKED + STORED)
    assert max(sizes) < 1000


def test_copies_lie_on_the_disk_some_at_a_time(tmp_path, monkeypatch):
    limited(monkeypatch, HashTables(6, 2, 1))
    there = []

    def run(fn, items):
        for item in items:
            yield fn(item)
            there.append(len(list(tmp_path.glob("rounds/hashes/queries-*"))))

    queries = of(hashes(3, 50, 9))
    search(tmp_path, queries, queries, 6, run)
    assert max(there) == hash_pairs.COPIES


def test_hashes_are_exchanged_where_a_task_cannot_hold_them_and_not_before():
    shared = [HashTables.of(6, count, count).shared for count in (10**5, 10**6, 10**7, 10**8, 12 * 10**8)]
    assert shared == sorted(shared)
    assert (shared[1], shared[2]) == (0, 1)
    assert HashTables.of(6, 12 * 10**8, 10**5).shared == 0  # few are stored: each task holds them


def test_what_many_hashes_cost_is_told_with_what_their_exchange_costs():
    alone, shared = (HashTables(6, 3, shared).nanoseconds(10**8, 10**8) for shared in (0, 1))
    assert shared < alone
    assert HashTables(6, 3, 1).nanoseconds(10**6, 10**6) > HashTables(6, 3).nanoseconds(10**6, 10**6)
