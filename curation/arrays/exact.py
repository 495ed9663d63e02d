"""The arithmetic of k-means, with the same bits for every order of the vectors, chunking and number of threads.

Every component of a vector in the unit ball, and of a centroid, is rounded to a multiple of 2⁻²⁴. On that grid
float64 is exact: squared distances are multiples of 2⁻⁴⁸ below 4, and sums are multiples of 2⁻²⁴ below 2²⁹, as
many vectors may a centroid have. What is exact does not depend on the order of summation, so chunks may come as
they like, and sums of parts be added as they come. Rounding moves a vector by less than 2⁻²⁵·√dim.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import faiss
import numpy as np

from curation.arrays import Doubles, Floats, Ints
from curation.arrays.vectors import Vectors
from shared.errors import WorkFailedError

GRID = 2.0**24
EXACT_CELLS = 1 << 24
"""Distances computed at once in float64: 128 MiB."""


@dataclass(frozen=True)
class Unit:
    """Vectors of unit length on the grid; a vector of zeros stays one."""

    vectors: Vectors

    def __len__(self) -> int:
        return len(self.vectors)

    def chunks(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield the same chunks, of unit length."""
        for rows, block in self.vectors.chunks():
            yield rows, unit(block)

    def take(self, rows: Ints) -> Floats:
        """Return some rows, of unit length."""
        return unit(self.vectors.take(rows))


def unit(vectors: Floats) -> Floats:
    """Return vectors [n, dim] of unit length, on the grid; needs 24 bytes for each component."""
    exact = np.ascontiguousarray(vectors, dtype=np.float64)
    lengths = np.sqrt((exact * exact).sum(axis=1, keepdims=True))
    if not np.isfinite(lengths).all():
        broken = int((~np.isfinite(lengths)).sum())
        raise WorkFailedError(
            f"balance needs finite vectors, got NaN or infinity in {broken} of {len(vectors)}. Look at the embedder."
        )
    return on_grid(exact / np.where(lengths > 0, lengths, 1))


def on_grid(values: Doubles) -> Floats:
    """Return values of at most 1 as the nearest multiples of 2⁻²⁴, which float32 holds."""
    return (np.rint(values * GRID) / GRID).astype(np.float32)


def totals(points: Vectors, centroids: Floats) -> tuple[Doubles, Ints]:
    """Return the sum [k, dim] and the number [k] of the points nearest to each centroid.

    Memory: 8·k·dim bytes, and one chunk in float64, twice.
    """
    sums, sizes = np.zeros(centroids.shape, np.float64), np.zeros(len(centroids), np.int64)
    for _, block, labels in _labelled(points, centroids):
        order = np.argsort(labels, kind="stable")
        present, starts = np.unique(labels[order], return_index=True)
        sums[present] += np.add.reduceat(block[order], starts, axis=0, dtype=np.float64)
        sizes += np.bincount(labels, minlength=len(sizes))
    return sums, sizes


def assign(points: Vectors, centroids: Floats) -> tuple[Ints, Floats]:
    """Return the nearest centroid [n] of each point, the first among equals, and the squared distance [n] to it.

    Memory: 12 bytes for each point, and one chunk in float64, three times.
    """
    nearest, distances = np.empty(len(points), np.int64), np.empty(len(points), np.float32)
    for rows, block, labels in _labelled(points, centroids):
        nearest[rows] = labels
        distances[rows] = ((block.astype(np.float64) - centroids[labels]) ** 2).sum(axis=1)
    return nearest, distances


def _labelled(points: Vectors, centroids: Floats) -> Iterator[tuple[Ints, Floats, Ints]]:
    """FAISS finds the two nearest in float32; where they are closer than its rounding can be, float64 decides."""
    dim = centroids.shape[1]
    index = faiss.IndexFlatL2(dim)
    index.add(centroids)
    rounding = 8 * dim / GRID  # two distances, each the sum of terms of 4 with an error of dim·2⁻²⁴
    exact = centroids.astype(np.float64)
    norms = (exact * exact).sum(axis=1)
    step = max(1, EXACT_CELLS // max(1, len(centroids)))
    for rows, block in points.chunks():
        distances, nearest = index.search(np.ascontiguousarray(block), 2)
        labels = nearest[:, 0].copy()
        close = np.flatnonzero(distances[:, 1] - distances[:, 0] <= rounding)
        for part in np.split(close, range(step, len(close), step)):
            labels[part] = (norms - 2 * (block[part].astype(np.float64) @ exact.T)).argmin(axis=1)
        yield rows, block, labels
