"""The order of images: keyed permutations that are computed where they are needed, never stored."""

from functools import lru_cache
from typing import Any

import numpy as np

from shared.splitmix import SPLITMIX_STEP, splitmix64

ROUNDS = 6
WINDOW = 1 << 20
"""Samples that are shuffled together, about: fewer images than that are shuffled as one."""


class Permutation:
    """A permutation of range(size) chosen by a key of integers: a Feistel cipher that walks until it lands.

    Memory is constant, whatever the size. `at` costs about a microsecond for a position, in arrays.
    """

    def __init__(self, size: int, key: tuple[int, ...]) -> None:
        self.size = size
        self.half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
        self.low = np.uint64((1 << int(self.half)) - 1)
        self.keys = np.random.SeedSequence(key).generate_state(ROUNDS, np.uint64)

    def _ciphered(self, x: np.ndarray) -> np.ndarray:
        left, right = x >> self.half, x & self.low
        with np.errstate(over="ignore"):
            for key in self.keys:
                left, right = right, left ^ (splitmix64(right * SPLITMIX_STEP + key) & self.low)
        return (left << self.half) | right

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the members at these positions, as int64."""
        x = self._ciphered(positions.astype(np.uint64))
        outside = x >= self.size
        while outside.any():
            x[outside] = self._ciphered(x[outside])
            outside = x >= self.size
        return x.astype(np.int64)


def subsample(values: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Return at most `limit` of the values, in their order; the same ones for the same seed."""
    if len(values) <= limit:
        return values
    positions = np.sort(Permutation(len(values), (seed, limit)).at(np.arange(limit)))
    chosen: np.ndarray = values[positions]
    return chosen


class Shuffle:
    """Sample numbers → (block, position in the block), epoch after epoch: each epoch names each position once.

    An epoch takes the blocks in the order of a keyed permutation, cuts that order into windows of whole blocks with
    `window` samples or a little more, and shuffles inside each. So reads stay within a window's blocks, memory is
    that of a few numbers a block, and what a number means depends on nothing but (counts, seed).
    """

    def __init__(self, counts: np.ndarray, seed: int, window: int = WINDOW) -> None:
        self.counts, self.seed, self.window = counts, seed, window
        self.total = int(counts.sum())
        self._plan = lru_cache(2)(self._planned)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without what is remembered."""
        return Shuffle, (self.counts, self.seed, self.window)

    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each sample's block and its position there."""
        epochs, positions = np.divmod(numbers, self.total)
        blocks = np.empty_like(positions)
        for epoch in np.unique(epochs).tolist():
            now = epochs == epoch
            order, starts, edges = self._plan(epoch)
            shuffled = self._inside_windows(epoch, edges, positions[now])
            slot = np.searchsorted(starts, shuffled, "right") - 1
            blocks[now], positions[now] = order[slot], shuffled - starts[slot]
        return blocks, positions

    def _inside_windows(self, epoch: int, edges: np.ndarray, positions: np.ndarray) -> np.ndarray:
        shuffled, windows = positions.copy(), np.searchsorted(edges, positions, "right") - 1
        for window in np.unique(windows).tolist():
            first, end = int(edges[window]), int(edges[window + 1])
            inside = Permutation(end - first, (self.seed, epoch, window))
            shuffled[windows == window] = first + inside.at(positions[windows == window] - first)
        return shuffled

    def _planned(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the blocks in this epoch's order, the position where each starts, and the edges of the windows."""
        order = Permutation(len(self.counts), (self.seed, epoch)).at(np.arange(len(self.counts)))
        order = order[self.counts[order] > 0]
        starts = np.cumsum(self.counts[order]) - self.counts[order]
        opens = np.flatnonzero(np.diff(starts // self.window, prepend=-1))
        return order, starts, np.append(starts[opens], self.total)
