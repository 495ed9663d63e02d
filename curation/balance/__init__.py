"""Balance: hierarchical k-means and balanced sampling (Vo et al. 2024, arXiv 2405.15613); here, what both draw from.

Nothing depends on the order of the images: chance is a seeded hash of an image's id, and sums are exact (exact.py).
An id is two uint64, the halves of a 128-bit digest: `np.frombuffer(digests, "<u8").reshape(-1, 2)`. Ids are unique.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from curation.arrays import Floats, Ints, Words
from shared.splitmix import SPLITMIX_STEP, splitmix64


class Vectors(Protocol):
    """Vectors that need not fit into memory: read in chunks, in any order and of any size, as often as asked."""

    @property
    def dim(self) -> int:
        """Return how many components each has."""

    def __len__(self) -> int:
        """Return how many there are."""

    def chunks(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield the rows [m] and vectors [m, dim] of one chunk after another: every row once."""

    def take(self, rows: Ints) -> Floats:
        """Return the vectors [len(rows), dim] of some rows, in their order."""


@dataclass(frozen=True)
class Arrays:
    """Vectors that do fit into memory."""

    values: Floats
    chunk_rows: int = 16_384

    @property
    def dim(self) -> int:
        """The width of the array."""
        return int(self.values.shape[1])

    def __len__(self) -> int:
        return len(self.values)

    def chunks(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield views of the array."""
        for start in range(0, len(self), self.chunk_rows):
            block = self.values[start : start + self.chunk_rows]
            yield np.arange(start, start + len(block)), block

    def take(self, rows: Ints) -> Floats:
        """Return a copy of some rows."""
        return self.values[rows]


def draws(ids: Words, purpose: str, *salts: int) -> Words:
    """Return a random number of 64 bits [n] for each id [n, 2]: another one for another purpose, seed, level, round.

    Needs 24 bytes for each id while it works.
    """
    state = np.zeros(1, np.uint64)
    for salt in (*purpose.encode(), *salts):
        state = mix(state ^ np.uint64(salt % 2**64))
    return mix(mix(ids[:, 0] ^ state) ^ ids[:, 1])


def mix(words: Words) -> Words:
    """Return the next random words, one to one: a step of SplitMix64."""
    return splitmix64(words + SPLITMIX_STEP)


def numbered(count: int) -> Words:
    """Return ids [count, 2] for things that have a number and no digest, such as the nodes of a level."""
    return np.stack([np.zeros(count, np.uint64), np.arange(count, dtype=np.uint64)], axis=1)
