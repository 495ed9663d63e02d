import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup.hash_pairs import equal_groups, hash_pairs
from curation.dedup.hash_tables import HashTables


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


def slowly(rows, distance):
    """The definition: compare every orientation of every image with every other upright."""
    bits = np.unpackbits(rows, axis=1).reshape(len(rows), 8, 64).astype(int)
    apart = (bits[:, None, :, :] != bits[None, :, :1, :]).sum(axis=3).min(axis=2)
    return {(i, j, apart[i, j]) for i, j in np.argwhere(apart <= distance).tolist() if i != j}


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 50), st.integers(0, 10), st.integers(1, 3))
def test_tables_of_equal_blocks_find_every_pair_within_the_distance_and_no_other(seed, count, distance, equal):
    rows = hashes(seed, count, distance + 4)
    image, other, apart = hash_pairs(rows, HashTables(distance, equal))
    found = list(zip(image.tolist(), other.tolist(), apart.tolist(), strict=True))
    assert len(set(found)) == len(found)
    assert set(found) == slowly(rows, distance)


def test_a_pair_is_told_by_one_table_only():
    tables = HashTables(6, 3)
    words = np.random.default_rng(0).integers(0, 2**63, 40).astype(np.uint64)
    words[20:] = words[:20] ^ np.uint64(1 << 40 | 5)
    told = [tables.matches(words[:20], words[20:], table) for table in range(len(tables.keys))]
    assert sorted(np.concatenate([query for query, _, _ in told]).tolist()) == list(range(20))


def test_a_span_of_keys_is_searched_alone_with_the_same_result():
    tables = HashTables(6, 2)
    rows = hashes(3, 300, 8).view(">u8").reshape(-1, 8)[:, 0].astype(np.uint64)
    whole, pieces = set(), set()
    for table in range(len(tables.keys)):
        whole |= set(zip(*(c.tolist() for c in tables.matches(rows, rows, table)), strict=True))
        spans = tables.key(rows, table) % 3
        for span in range(3):
            (inside,) = np.nonzero(spans == span)
            query, other, apart = tables.matches(rows[inside], rows[inside], table)
            found = zip(inside[query].tolist(), inside[other].tolist(), apart.tolist(), strict=True)
            pieces |= set(found)
    assert pieces == whole


def test_equal_keys_make_a_star_and_not_all_pairs():
    members, firsts = equal_groups(np.array([7, 3, 7, 7, 3, 9]))
    assert list(zip(members.tolist(), firsts.tolist(), strict=True)) == [(2, 0), (3, 0), (4, 1)]


def test_more_hashes_get_longer_keys():
    lengths = [HashTables.of(6, count).equal for count in (1000, 10**6, 10**9)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]
