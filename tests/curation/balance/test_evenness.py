"""Evenness is KL to uniform, rare classes are counted, and chance is what drawing without looking makes."""

import math

import numpy as np
import pytest
from scipy.stats import entropy

from curation.balance.evenness import evenness, kl_to_uniform


def test_kl_to_uniform_is_scipys():
    counts = np.random.default_rng(0).integers(1, 50, 9)
    assert kl_to_uniform(counts) == pytest.approx(entropy(counts / counts.sum(), np.full(9, 1 / 9)))
    assert kl_to_uniform(np.array([3, 3, 3])) == pytest.approx(0)
    assert kl_to_uniform(np.array([7, 0])) == pytest.approx(math.log(2))


def test_a_selection_is_judged_by_its_classes_beside_chance():
    classes = np.repeat([0, 1, 2, 3], [60, 20, 10, 10])
    even = np.zeros(100)
    for label in range(4):
        even[np.flatnonzero(classes == label)[:10]] = 1
    facts = evenness(classes, even, 40, seed=0)
    assert facts["classes"] == 4
    assert facts["after"] == 0
    assert facts["kept"] == 1
    assert facts["before"] == pytest.approx(kl_to_uniform(np.array([60, 20, 10, 10])), abs=1e-3)
    rng = np.random.default_rng(1)
    slow = [kl_to_uniform(np.bincount(rng.permutation(classes)[:40], minlength=4)) for _ in range(500)]
    assert facts["chance"] == pytest.approx(np.mean(slow), abs=4 * np.std(slow) / math.sqrt(50))
    assert facts["chance_sd"] == pytest.approx(np.std(slow), rel=0.4)
    assert facts["kept_by_chance"] == pytest.approx(0.4, abs=0.05)


def test_what_has_no_class_is_left_out_and_weights_count():
    classes, weights = np.array([0, 0, 0, 1, -1, -1]), np.array([1.0, 1.0, 1.0, 3.0, 9.0, 0.0])
    facts = evenness(classes, weights, 3, seed=0)
    assert facts["after"] == 0
    assert facts["kept"] == 3


def test_one_class_or_none_has_no_evenness():
    assert evenness(np.array([2, 2, -1]), np.ones(3), 2, seed=0) is None
    assert evenness(np.full(4, -1), np.ones(4), 2, seed=0) is None
