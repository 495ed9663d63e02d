"""Intervals for shares of queries: how far chance alone, by the choice of queries, may have moved them."""

from math import sqrt
from typing import NamedTuple

NORMAL_95 = 1.959964
"""Standard errors to either side of a 95 % interval."""


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def share_interval(share: float, queries: int) -> Interval:
    """Return the interval of a share of independent queries (Wilson 1927)."""
    z2 = NORMAL_95**2
    middle = (share + z2 / (2 * queries)) / (1 + z2 / queries)
    half = NORMAL_95 * sqrt(share * (1 - share) / queries + z2 / (4 * queries**2)) / (1 + z2 / queries)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def difference_interval(share: float, other: float, queries: int) -> Interval:
    """Return the interval of share - other (Newcombe 1998, method 10, for independent draws).

    Of the same queries it is wider than need be: what two models get right together is not known here.
    """
    one, two = share_interval(share, queries), share_interval(other, queries)
    return Interval(
        share - other - sqrt((share - one.low) ** 2 + (two.high - other) ** 2),
        share - other + sqrt((one.high - share) ** 2 + (other - two.low) ** 2),
    )
