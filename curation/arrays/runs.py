"""Runs: rows of one group that stand side by side, in arrays that are sorted by the group."""

import numpy as np

from curation.arrays import Array, Ints


def ranks(groups: Ints) -> Ints:
    """Return the place [n] of each row in its run, from 0; `groups` [n] are equal in a run, and not negative."""
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups)) - np.repeat(begins, np.diff(begins, append=len(groups)))


def ranges(starts: Ints, ends: Ints) -> Ints:
    """Return start, start + 1, …, end - 1 of each range, one range after the other."""
    return np.concatenate([np.arange(0), *map(np.arange, starts, ends)])


def narrowed(numbers: Array) -> Array:
    """Return the numbers [n] of n things in four bytes each, where those are enough."""
    return numbers.astype(np.int32) if len(numbers) <= np.iinfo(np.int32).max else numbers
