"""Which images are asked about: one of each group of copies, and no class above all others."""

import numpy as np
import pytest

from flows.ablation.queries import check_size, choose_queries, copy_groups
from shared.errors import UserError


def test_chains_of_copies_are_one_group():
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 60, (40, 2))
    slow = list(range(60))
    for a, b in pairs:
        slow = [slow[a] if group == slow[b] else group for group in slow]
    group = copy_groups(60, pairs)
    for i in range(60):
        for j in range(60):
            assert (group[i] == group[j]) == (slow[i] == slow[j])
    assert len(set(copy_groups(5, np.empty((0, 2), np.int64)).tolist())) == 5


def test_of_each_group_one_able_image_is_asked_and_a_frequent_class_is_capped():
    label = np.array([0] * 40 + [1] * 4 + [2] * 5 + [-1] * 5)
    group, order = np.arange(54), np.random.default_rng(0).permutation(54)
    group[40], able = group[0], np.ones(54, dtype=bool)
    able[[0, 41]] = False
    chosen = choose_queries(group, label, able, order)
    assert 40 in chosen
    assert not {0, 41} & set(chosen)
    assert np.bincount(label[chosen]).tolist() == [10, 3, 5]  # at most twice the median class
    places = {row: place for place, row in enumerate(order)}
    assert [places[row] for row in chosen] == sorted(places[row] for row in chosen)
    assert not len(choose_queries(group, np.full(54, -1), able, order))


def test_too_few_questions_are_refused_with_a_reason():
    check_size(20, 2, 20)
    with pytest.raises(UserError, match=r"at least 20 queries of 2 classes.* got 19 queries of 5 classes, and 100"):
        check_size(19, 5, 100)
    with pytest.raises(UserError, match="use a larger corpus with class folders"):
        check_size(20, 2, 19)
