import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup import hash_pairs, hash_tables
from curation.dedup.hash_files import Hashes
from curation.dedup.hash_pairs import equal_groups, near_hashes
from curation.dedup.hash_tables import HashTables
from shared.stage_runner import Rounds
from shared.storage import Store


def hashes(seed, count, flips):
    """Random hashes in eight orientations; most are others with some bits flipped, near the limit and beyond."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (count, 8, 64), dtype=np.uint8)
    for i in range(1, count):
        if rng.random() < 0.7:
            source = bits[rng.integers(0, i), 0].copy()
            source[rng.permutation(64)[: rng.integers(0, flips)]] ^= 1
            bits[i, rng.integers(0, 8)] = source
    return np.packbits(bits, axis=2).reshape(count, 64)


def of(rows, first=0):
    """Those of one set of images, with numbers from the first on."""
    every = np.arange(first, first + len(rows))
    return Hashes(lambda: every, every, lambda: pieces(rows))


def pieces(rows):
    """Read them some at a time, as parts of a table are: not in their order."""
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    return ((places, rows[places]) for places in (order[i : i + 5] for i in range(0, len(order), 5)))


def slowly(rows, distance):
    """The definition: compare every orientation of every image with every other upright."""
    bits = np.unpackbits(rows, axis=1).reshape(len(rows), 8, 64).astype(int)
    apart = (bits[:, None, :, :] != bits[None, :, :1, :]).sum(axis=3).min(axis=2)
    return {(i, j, apart[i, j]) for i, j in np.argwhere(apart <= distance).tolist() if i != j}


def searched(rows, distance, equal, most=1000):
    """The pairs that processes find, in no order, by tables of so many equal blocks."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(HashTables, "of", lambda distance, *_: HashTables(distance, equal))
        patch.setattr(hash_pairs, "BLOCK", 7)
        rounds = Rounds(Store(folder), "rounds", lambda fn, items: map(fn, list(items)[::-1]))
        found = near_hashes(rounds, "hashes", of(rows), of(rows), distance, most)
    return list(zip(*(column.tolist() for column in found), strict=True))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 50), st.integers(0, 10), st.sampled_from([0, 1, 2]))
def test_every_pair_within_the_distance_is_found_and_no_other(seed, count, distance, equal):
    """By comparing all, or by tables of equal blocks."""
    rows = hashes(seed, count, distance + 4)
    found = searched(rows, distance, equal)
    assert len(set(found)) == len(found)
    assert set(found) == slowly(rows, distance)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 50), st.integers(0, 10), st.integers(0, 3))
def test_tables_of_any_number_of_equal_blocks_find_every_pair(seed, count, distance, equal):
    words = hashes(seed, count, distance + 4).view(">u8").astype(np.uint64)
    tables, found = HashTables(distance, equal), []
    for table in range(len(tables.keys)):
        for query, other, apart in tables.matches(words[:, 0], words.ravel(), table):
            found += zip((query // 8).tolist(), other.tolist(), apart.tolist(), strict=True)
    best = {pair: min(apart for *same, apart in found if tuple(same) == pair) for pair in {f[:2] for f in found}}
    rows = np.ascontiguousarray(words.astype(">u8")).view(np.uint8).reshape(count, 64)
    assert {(*pair, apart) for pair, apart in best.items() if pair[0] != pair[1]} == slowly(rows, distance)


def test_of_many_near_ones_the_nearest_stay_whatever_finds_them():
    rows = hashes(4, 60, 9)
    rows[30:, :8] = rows[:30, :8]
    every = searched(rows, 10, 0)
    for equal in (0, 2):
        found = searched(rows, 10, equal, most=3)
        kept = [[p for p in found if p[0] == image] for image in range(60)]
        for image, pairs in enumerate(kept):
            distances = sorted(apart for i, _, apart in every if i == image)
            assert sorted(apart for *_, apart in pairs) == distances[:3]


def test_a_pair_is_told_by_one_table_only():
    tables = HashTables(6, 3)
    words = np.random.default_rng(0).integers(0, 2**63, 40).astype(np.uint64)
    words[20:] = words[:20] ^ np.uint64(1 << 40 | 5)
    told = [piece for table in range(len(tables.keys)) for piece in tables.matches(words[:20], words[20:], table)]
    assert sorted(np.concatenate([query for query, _, _ in told]).tolist()) == list(range(20))


def test_a_span_of_keys_is_searched_alone_with_the_same_result():
    tables = HashTables(6, 2)
    rows = hashes(3, 300, 8).view(">u8").reshape(-1, 8)[:, 0].astype(np.uint64)
    whole, pieces = set(), set()
    for table in range(len(tables.keys)):
        for piece in tables.matches(rows, rows, table):
            whole |= set(zip(*(column.tolist() for column in piece), strict=True))
        spans = tables.key(rows, table) % 3
        for span in range(3):
            (inside,) = np.nonzero(spans == span)
            for query, other, apart in tables.matches(rows[inside], rows[inside], table):
                pieces |= set(zip(inside[query].tolist(), inside[other].tolist(), apart.tolist(), strict=True))
    assert pieces == whole


@pytest.mark.parametrize("distance", [0, 18, 32])
def test_a_distance_of_any_size_is_searched(distance):
    assert HashTables.of(distance, 10**7, 10**7).distance == distance
    rows = hashes(5, 30, distance + 4)
    with tempfile.TemporaryDirectory() as folder:
        found = near_hashes(Rounds(Store(folder), "rounds", map), "hashes", of(rows), of(rows), distance, 1000)
    assert set(zip(*map(np.ndarray.tolist, found), strict=True)) == slowly(rows, distance)


def test_equal_keys_make_a_star_and_not_all_pairs():
    rows = np.repeat(np.array([[7], [3], [7], [7], [3], [9], [3]], np.uint8), 64, axis=1)
    rows[6, 63] += 1  # another hash when it is turned
    members, firsts = equal_groups(of(rows))
    assert list(zip(members.tolist(), firsts.tolist(), strict=True)) == [(2, 0), (3, 0), (4, 1)]
    assert [len(side) for side in equal_groups(of(rows[:0]))] == [0, 0]


def test_more_hashes_get_longer_keys():
    lengths = [HashTables.of(6, count, count).equal for count in (1000, 10**6, 10**9)]
    assert lengths == sorted(lengths)
    assert lengths[0] == 0 < lengths[-1]


def test_many_pairs_are_told_in_pieces_and_none_twice(monkeypatch):
    monkeypatch.setattr(hash_tables, "PENDING", 50)
    words = np.zeros(40, np.uint64)
    told = [list(zip(q.tolist(), o.tolist(), strict=True)) for q, o, _ in HashTables(6, 0).matches(words, words, 0)]
    assert max(map(len, told)) <= 2 * 50
    assert sorted(pair for piece in told for pair in piece) == [(i, j) for i in range(40) for j in range(40)]
