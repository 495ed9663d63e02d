"""Digests are found among others by their bytes, whatever they share with them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.arrays.draws import draws, words
from curation.dedup.ivf import members as members_module
from curation.dedup.ivf.assign import ASKS, TARGET
from curation.dedup.ivf.members import Members
from curation.dedup.sorted_ids import ABSENT, SortedIds, not_alone


def alike(rng, count):
    """Digests of which many are equal, and more agree in one of their halves."""
    bytes_ = rng.integers(0, 2, (count, 16), dtype=np.uint8) * np.uint8(255)
    bytes_[:, 1:7] = bytes_[:, 9:15] = 0
    return bytes_.view("V16").reshape(-1)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_digests_are_found_as_a_dictionary_would_find_them(seed, count):
    rng = np.random.default_rng(seed)
    ids, wanted = alike(rng, count), alike(rng, 10)
    known, order = SortedIds.of(ids)
    assert known.ids(0, count).tolist() == sorted(ids.tolist()) == ids[order].tolist()
    expected = {each: place for place, each in reversed(list(enumerate(sorted(ids.tolist()))))}
    assert known.find(wanted).tolist() == [expected.get(each, ABSENT) for each in wanted.tolist()]
    assert known.firsts().tolist() == [expected[each] == i for i, each in enumerate(sorted(ids.tolist()))]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 30))
def test_numbers_that_others_equal_are_told(seed, count):
    numbers = np.random.default_rng(seed).integers(0, 20, count).astype(np.uint64)
    assert not_alone(numbers).tolist() == [numbers.tolist().count(each) > 1 for each in numbers.tolist()]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 20))
def test_who_stands_twice_has_all_roles_and_a_draw_by_pieces_is_that_of_all(seed, count, wanted):
    rng = np.random.default_rng(seed)
    ids, roles = alike(rng, count), rng.choice(np.array([ASKS, TARGET], np.int8), count)
    known, order = SortedIds.of(ids)
    members, expected = Members.of(known, roles[order]), dict[bytes, int]()
    for each, role in zip(ids.tolist(), roles.tolist(), strict=True):
        expected[each] = expected.get(each, 0) | role
    assert members.roles_of(ids).tolist() == [expected[each] for each in ids.tolist()]
    targets = sorted(each for each, role in expected.items() if role & TARGET)
    chances = np.sort(draws(words(np.array(targets, "V16")), "recall"))
    patched, members_module.AT_ONCE = members_module.AT_ONCE, 7
    try:
        greatest = members.greatest_draw(TARGET, wanted, "recall")
    finally:
        members_module.AT_ONCE = patched
    assert greatest == (chances[wanted - 1] if len(chances) > wanted else np.iinfo(np.uint64).max)
