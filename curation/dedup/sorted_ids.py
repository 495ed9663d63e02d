"""Digests in the order of their bytes, to find others among them: 16 bytes each, where a hash table has 60 or more."""

from dataclasses import dataclass

import numpy as np

from curation.arrays import Array, Bools, Ints, Words

ABSENT = -1
"""Stands for the place of a digest that is not there."""


def halves(ids: Array) -> tuple[Words, Words]:
    """Return the first and the second half of digests [n] of 16 bytes, as numbers that sort as their bytes do."""
    both = np.ascontiguousarray(ids).view(">u8").reshape(-1, 2)
    return both[:, 0].astype(np.uint64), both[:, 1].astype(np.uint64)


def not_alone(numbers: Words) -> Bools:
    """Return which numbers [n] another one equals."""
    order = np.argsort(numbers)
    again = np.flatnonzero(_repeats(numbers[order]))
    shared = np.zeros(len(order), dtype=bool)
    shared[order[again]] = shared[order[again - 1]] = True
    return shared


@dataclass(frozen=True)
class SortedIds:
    """Digests as two columns of numbers, ascending. First halves tell apart all but a few."""

    high: Words
    low: Words

    def __len__(self) -> int:
        return len(self.high)

    @classmethod
    def of(cls, ids: Array) -> "tuple[SortedIds, Ints]":
        """Return digests [n] sorted, and where each of them stood."""
        return cls.sorting(*halves(ids))

    @classmethod
    def sorting(cls, high: Words, low: Words) -> "tuple[SortedIds, Ints]":
        """Return digests by their halves [n], which are sorted in place, and where each of them stood."""
        order = np.argsort(high)
        if _repeats(high[order]).any():
            order = np.lexsort((low, high))
        for half in (high, low):
            half[:] = half[order]
        return cls(high, low), order

    def firsts(self) -> Bools:
        """Return which digests [n] are not those before them."""
        return ~(_repeats(self.high) & _repeats(self.low))

    def where(self, chosen: Bools) -> "SortedIds":
        """Return some of the digests."""
        return SortedIds(self.high[chosen], self.low[chosen])

    def ids(self, begin: int, end: int) -> Array:
        """Return some of the digests as they were."""
        both = np.stack([self.high[begin:end], self.low[begin:end]], axis=1)
        return both.astype(">u8").view("V16").ravel()

    def find(self, wanted: Array) -> Ints:
        """Return the place [m] of each digest, ABSENT of those that are not there."""
        if not len(self):
            return np.full(len(wanted), ABSENT)
        high, low = halves(wanted)
        place, order, last = np.empty(len(wanted), np.int64), np.argsort(high), len(self) - 1
        place[order] = np.searchsorted(self.high, high[order])  # in order, for the sake of the processor's caches
        place = np.minimum(place, last)
        while (before := (self.high[place] == high) & (self.low[place] < low) & (place < last)).any():
            place += before
        return np.where((self.high[place] == high) & (self.low[place] == low), place, ABSENT)


def _repeats(column: Words) -> Bools:
    """Return which numbers [n] are those before them."""
    again = np.zeros(len(column), dtype=bool)
    again[1:] = column[1:] == column[:-1]
    return again
