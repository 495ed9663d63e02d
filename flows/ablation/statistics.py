"""The statistics: scores of two variants over the same seeds in, a difference with its interval out.

Seeds are the unit: an interval says how a difference would move with other seeds, on these queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from scipy import stats
from scipy.optimize import brentq

Word = Literal["helped", "hurt", "no difference seen", "not tested"]

LEVEL = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Difference:
    """A variant's mean score minus the baseline's, paired by seed."""

    pairs: int
    mean: float
    low: float | None = None
    high: float | None = None
    """Ends of the 95 % interval; None with fewer than two pairs."""
    p: float | None = None
    """Of the paired t-test, two-sided."""
    detectable: float | None = None
    """The smallest true difference that such a test would see four times in five."""


def mean_sd(scores: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and the standard deviation of the sample; None with fewer than two."""
    return float(np.mean(scores)), float(np.std(scores, ddof=1)) if len(scores) > 1 else None


def paired(variant: Sequence[float], baseline: Sequence[float], resolution: float = 0.0) -> Difference:
    """Compare scores of the same seeds, in the same order: a paired t-test.

    d = variant - baseline; interval = mean(d) ± t(n - 1) · sd(d) / sqrt(n). `resolution` is the smallest step of a
    score (one query in all): two seeds that agree by chance to the last query would have no spread at all, and so
    the spread is never taken for less.
    """
    d = np.asarray(variant, dtype=float) - np.asarray(baseline, dtype=float)
    count, mean = len(d), float(d.mean())
    if count < 2:
        return Difference(count, mean)
    error = max(float(d.std(ddof=1)), resolution) / sqrt(count)
    if error == 0:
        return Difference(count, mean, mean, mean, 1.0 if mean == 0 else 0.0, 0.0)
    reach = float(stats.t.ppf(1 - LEVEL / 2, count - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, count - 1))
    return Difference(count, mean, mean - reach, mean + reach, p, detectable(count) * error)


def detectable(count: int) -> float:
    """Return the smallest true difference, in standard errors, that a test of so many pairs sees with 80 % power.

    P(T > t) = 0.8 for a noncentral T with n - 1 degrees of freedom; that it errs to the other side is left out.
    """
    critical = float(stats.t.ppf(1 - LEVEL / 2, count - 1))
    return float(brentq(lambda shift: stats.nct.sf(critical, count - 1, shift) - POWER, 0.0, 2 * critical))


def holm(ps: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: in ascending order, max over the smaller ones of (m - rank) · p, at most 1."""
    order = np.argsort(ps)
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = least
    return adjusted


def word(difference: Difference, adjusted: float | None) -> Word:
    """Return what may be claimed: nothing without two seeds, a direction only where the adjusted test says so."""
    if adjusted is None or difference.pairs < 2:
        return "not tested"
    if adjusted >= LEVEL:
        return "no difference seen"
    return "helped" if difference.mean > 0 else "hurt"
