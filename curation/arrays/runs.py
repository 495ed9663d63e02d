"""Runs: rows of one group that stand side by side, in arrays that are sorted by the group."""

import numpy as np

from curation.arrays import Ints


def ranks(groups: Ints) -> Ints:
    """Return the place [n] of each row in its run, from 0; `groups` [n] are equal in a run, and not negative."""
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups)) - np.repeat(begins, np.diff(begins, append=len(groups)))


def ranges(starts: Ints, ends: Ints) -> Ints:
    """Return start, start + 1, …, end - 1 of each range, one range after the other."""
    return np.concatenate([np.arange(0), *map(np.arange, starts, ends)])
