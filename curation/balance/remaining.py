"""The vectors of the images that are left, read part by part whenever they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from curation.arrays import Floats, Ints
from curation.dedup.comparable_images import ComparableImages, vectors_of


@dataclass(frozen=True)
class Remaining:
    """Vectors of some of a corpus' images; no more than a part of them is in memory."""

    images: ComparableImages
    items: Ints
    """Ascending."""

    def __len__(self) -> int:
        return len(self.items)

    def chunks(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield the rows and vectors of one part after another."""
        numbers, first = self.images.rows[self.items], 0
        for part in self.images.measurements.tables(["vector"]):
            rows = np.arange(*np.searchsorted(numbers, (first, first + part.num_rows)))
            if len(rows):
                yield rows, vectors_of(part, numbers[rows] - first)
            first += part.num_rows

    def take(self, rows: Ints) -> Floats:
        """Return the vectors of some rows, in their order."""
        ascending, inverse = np.unique(rows, return_inverse=True)
        return self.images.vectors(self.items[ascending])[inverse]
