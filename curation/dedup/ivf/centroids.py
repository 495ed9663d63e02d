"""The centroids of buckets: fitted once on a sample of the corpus, then pinned, so that new images move nothing.

Fitting again is a decision: it makes centroids of another name, under which every bucket is searched again.
"""

import hashlib
import io
from dataclasses import dataclass

import numpy as np

from curation.arrays import Floats, Words
from curation.arrays.kmeans import kmeans
from curation.arrays.vectors import Arrays
from curation.dedup.ivf.grid import on_grid

ITERATIONS = 6
POINTS = 48
"""Sampled vectors for each centroid."""
MOST_POINTS = 500_000
"""Sampled vectors in all, at most: what bounds memory."""
SPLIT_ABOVE = 2
"""A bucket that is expected to hold so many times its size is split."""


@dataclass(frozen=True)
class Centroids:
    """One unit vector on the grid for each bucket, in the order of the buckets' numbers."""

    vectors: Floats

    def __len__(self) -> int:
        return len(self.vectors)

    def dump(self) -> bytes:
        """Return the artefact: float16 in NumPy's format, without loss."""
        sink = io.BytesIO()
        np.save(sink, self.vectors.astype(np.float16))
        return sink.getvalue()

    @classmethod
    def load(cls, data: bytes) -> "Centroids":
        """Return what dump() wrote."""
        return cls(np.load(io.BytesIO(data)).astype(np.float32))

    @property
    def name(self) -> str:
        """The digest of the artefact: results are keyed by it."""
        return hashlib.blake2b(self.dump(), digest_size=10).hexdigest()

    def split(self, bucket: int, points: Floats, ids: Words, parts: int) -> "Centroids":
        """Return other centroids: those of the bucket's points instead of its own, all others under their numbers."""
        below = _leaves(points, ids, len(points) / parts)
        vectors = np.concatenate([self.vectors, below[1:]])
        vectors[bucket] = below[0]
        return Centroids(vectors)


def fit(points: Floats, ids: Words, rows: int, bucket_rows: int) -> Centroids:
    """Return centroids for a corpus of so many rows, from sampled vectors on the grid [n, dim] and their ids [n, 2].

    Buckets hold `bucket_rows` on average; one that the sample expects to hold twice as many is split, as far as its
    points differ.
    """
    return Centroids(_leaves(points, ids, bucket_rows * len(points) / max(rows, 1)))


def grown(centroids: Centroids, points: Floats, ids: Words, rows: int, bucket_rows: int) -> Centroids:
    """Return the centroids with those buckets split that a corpus of so many rows would fill too much.

    `points` are vectors of the corpus, drawn by their ids. All other buckets keep their numbers and what is in them.
    """
    nearest = nearest_centroids(points, centroids.vectors)
    expected = np.bincount(nearest, minlength=len(centroids)) * (rows / max(len(points), 1))
    for bucket in np.flatnonzero(expected > SPLIT_ABOVE * SPLIT_ABOVE * bucket_rows).tolist():
        inside = nearest == bucket
        centroids = centroids.split(bucket, points[inside], ids[inside], round(expected[bucket] / bucket_rows))
    return centroids


def sample_rows(rows: int, bucket_rows: int) -> int:
    """Return how many vectors fit() needs for a corpus of so many rows."""
    return min(rows, POINTS * max(1, -(-rows // bucket_rows)), MOST_POINTS)


def _leaves(points: Floats, ids: Words, size: float, depth: int = 0) -> Floats:
    """Return the centroids of clusters of at most about `size` points each."""
    wanted = round(len(points) / size)
    if wanted <= 1 or depth == 8:
        return on_grid(points.astype(np.float64).sum(axis=0, keepdims=True))
    means = kmeans(Arrays(points), ids, wanted, ITERATIONS, depth)
    centroids = on_grid(means)
    nearest = nearest_centroids(points, centroids)
    sizes = np.bincount(nearest, minlength=len(centroids))
    whole = centroids[(sizes > 0) & (sizes <= SPLIT_ABOVE * size)]
    halves = [nearest == cell for cell in np.flatnonzero(sizes > SPLIT_ABOVE * size)]
    if len(means) == 1:
        return centroids
    return np.concatenate([whole, *(_leaves(points[cell], ids[cell], size, depth + 1) for cell in halves)])


def nearest_centroids(vectors: Floats, centroids: Floats) -> np.ndarray:
    """Return the nearest centroid [n] of each vector, the first among equals."""
    blocks = np.split(vectors, range(8192, len(vectors), 8192))
    return np.concatenate([(block @ centroids.T).argmax(axis=1) for block in blocks])
