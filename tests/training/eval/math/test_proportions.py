"""Intervals of shares cover what they claim, by simulation."""

import numpy as np
import pytest

from training.eval.math.proportions import difference_interval, share_interval


@pytest.mark.parametrize("queries", [20, 256])
@pytest.mark.parametrize("true", [0.1, 0.5, 0.9])
def test_nineteen_in_twenty_intervals_hold_the_true_share(queries: int, true: float) -> None:
    shares = np.random.default_rng(0).binomial(queries, true, 2000) / queries
    held = [low <= true <= high for low, high in (share_interval(share, queries) for share in shares)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


def test_an_interval_of_a_difference_leaves_zero_out_once_in_twenty_times_where_there_is_none() -> None:
    drawn = np.random.default_rng(0).binomial(300, 0.3, (2000, 2)) / 300
    intervals = [difference_interval(one, other, 300) for one, other in drawn]
    assert np.mean([low > 0 or high < 0 for low, high in intervals]) == pytest.approx(0.05, abs=0.02)


def test_intervals_stay_within_what_a_share_can_be() -> None:
    assert share_interval(0.0, 20).low == 0
    assert share_interval(0.0, 20).high > 0.1
    assert share_interval(1.0, 20).high == 1
