"""Vectors that are read in chunks, whether they fit into memory or not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from curation.arrays import Floats, Ints


class Vectors(Protocol):
    """Vectors that need not fit into memory: read in chunks, in any order and of any size, as often as asked.

    How long each is, centroids tell: vectors on storage would have to be read for it.
    """

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
