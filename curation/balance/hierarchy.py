"""Hierarchical k-means with resampling (Vo et al. 2024, sections 3.2 and 4.1): flat in concepts, not in images.

Plain k-means puts most centroids where most images are. Clustering the centroids again, and fitting on as many
points of each cluster, both pull them towards a uniform cover of what there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curation.arrays import Floats, Ints, Words
from curation.arrays.draws import draws, numbered
from curation.arrays.exact import Unit, assign
from curation.arrays.kmeans import kmeans
from curation.arrays.vectors import Arrays, Vectors
from curation.balance.sampling import first_of_each

MOST_POINTS = 16
"""Points of a cluster in a resampling round, at most, unless `points` says otherwise: IronViT takes 15."""


@dataclass(frozen=True)
class Hierarchy:
    """Centroids [k, dim] of every level, the finest first, and for each but the last the node [k] above it."""

    centroids: tuple[Floats, ...]
    parents: tuple[Ints, ...]


def build(
    vectors: Vectors, ids: Words, levels: Sequence[int], *, seed: int, iterations: int, rounds: int, points: int = 0
) -> Hierarchy:
    """Cluster the images, then the centroids, level by level; levels are numbers of clusters, the largest first.

    `iterations` of Lloyd's algorithm in every fit, and `rounds` of resampling on every level, each on the `points`
    closest to every centroid (0 = half the mean size of a cluster, as Vo et al., at most MOST_POINTS).
    Passes over the vectors: iterations + rounds. Memory: that of kmeans() and assign(), 60 bytes for each
    image in a resampling round, and points·k vectors.
    """
    below: Vectors = Unit(vectors)
    centroids: list[Floats] = []
    parents: list[Ints] = []
    for level, k in enumerate(levels):
        fitted = kmeans(below, ids, k, iterations, seed, level)
        for number in range(rounds):
            fitted = _resample(below, ids, fitted, iterations, points, seed, level, number)
        if centroids:
            parents.append(assign(below, fitted)[0])
        centroids.append(fitted)
        below, ids = Arrays(fitted), numbered(len(fitted))
    return Hierarchy(tuple(centroids), tuple(parents))


def locate(vectors: Vectors, hierarchy: Hierarchy) -> tuple[Ints, Floats]:
    """Return for each image its cluster of the first level, and the squared distance to its centroid.

    An image belongs to the nodes above its cluster, whatever their centroids: a hierarchy, not several clusterings.
    """
    return assign(Unit(vectors), hierarchy.centroids[0])


def _resample(below: Vectors, ids: Words, centroids: Floats, iterations: int, points: int, *salts: int) -> Floats:
    """Fit again, from new seeds, on the points closest to every centroid."""
    k = len(centroids)
    count = points or min(MOST_POINTS, max(1, len(below) // (2 * max(k, 1))))
    nearest, distances = assign(below, centroids)
    chosen = first_of_each(nearest, (draws(ids, "ties", *salts), distances), ids, np.full(k, count))
    rows = np.flatnonzero(chosen)
    return kmeans(Arrays(below.take(rows)), ids[rows], k, iterations, *salts)
