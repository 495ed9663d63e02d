"""The statistics against scipy's tests, slow formulas and simulation."""

import numpy as np
import pytest
from scipy import stats

from flows.ablation.statistics import Difference, detectable, holm, mean_sd, paired, word

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_a_difference_is_scipys_paired_t_test_with_its_interval(seeds):
    baseline = RNG.uniform(0.3, 0.5, seeds)
    variant = baseline + RNG.normal(0.02, 0.01, seeds)
    difference, truth = paired(variant, baseline), stats.ttest_rel(variant, baseline)
    interval = truth.confidence_interval(0.95)
    assert difference.pairs == seeds
    assert (difference.mean, difference.p) == pytest.approx((np.mean(variant - baseline), truth.pvalue))
    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high))


def test_pairing_by_seed_sees_what_the_spread_over_seeds_would_hide():
    baseline = np.array([0.3, 0.5, 0.4, 0.6])
    variant = baseline + np.array([0.02, 0.021, 0.019, 0.02])
    assert paired(variant, baseline).p < 0.001
    assert stats.ttest_ind(variant, baseline).pvalue > 0.5


def test_one_seed_has_neither_interval_nor_verdict():
    difference = paired([0.9], [0.1])
    assert difference == Difference(1, pytest.approx(0.8))
    assert mean_sd([0.9]) == (0.9, None)
    assert word(difference, difference.p) == "not tested"
    assert word(difference, 0.0) == "not tested"


def test_seeds_that_agree_by_chance_are_not_taken_for_certain():
    difference = paired([0.52, 0.42], [0.5, 0.4], resolution=0.01)
    assert difference.p > 0.05
    assert difference.low < 0 < difference.high
    assert paired([0.5, 0.4], [0.5, 0.4]).p == 1.0


def test_what_is_detectable_is_seen_four_times_in_five():
    for pairs in (3, 6):
        draws = RNG.normal(detectable(pairs) / np.sqrt(pairs), 1.0, (40_000, pairs))
        p = stats.ttest_1samp(draws, 0.0, axis=1).pvalue
        assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.01)


def test_holm_rejects_what_its_steps_reject():
    for _ in range(200):
        ps = RNG.uniform(0, 0.1, RNG.integers(1, 6)).round(3).tolist()
        rejected, left = set(), sorted(range(len(ps)), key=lambda i: ps[i])
        while left and ps[left[0]] * len(left) < 0.05:
            rejected.add(left.pop(0))
        assert {i for i, p in enumerate(holm(ps)) if p < 0.05} == rejected
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_a_direction_is_claimed_only_after_the_correction():
    up, down = Difference(3, 0.02, 0.01, 0.03, 0.02, 0.03), Difference(3, -0.02, -0.03, -0.01, 0.02, 0.03)
    assert [word(up, 0.02), word(down, 0.02), word(up, 0.06)] == ["helped", "hurt", "no difference seen"]
