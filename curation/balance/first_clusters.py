"""Clusters of the first level where no levels are given: as many as follow from the number of images.

They are fitted on a sample that a hash of the ids chooses, so that their cost has a bound; which images belong to them
is then one pass, part by part, and sizes are exact sums. Clusters this fine are parted well by their seeds: after two
iterations of k-means evenness rises no further (tests/benchmarks/balance.md).
"""

import math

import numpy as np

from curation.arrays import Ints, Words
from curation.arrays.draws import draws
from curation.arrays.vectors import Arrays, Vectors
from curation.balance.hierarchy import Hierarchy, build

CLUSTERS_PER_ROOT = 10
FEWEST_IMAGES = 3
"""Images of a cluster, on average at least."""
MOST_CLUSTERS = 10_000
"""The cosines of all pairs of clusters are looked at, in a byte each: 100 MB."""
FITTED_IMAGES = 65_536
"""Images that clusters are fitted on, at most."""
ITERATIONS = 3


def first_level(images: int) -> int:
    """Return 10·√n clusters, at most a third as many as images, and at most 10,000."""
    return max(1, min(MOST_CLUSTERS, round(CLUSTERS_PER_ROOT * math.sqrt(images)), images // FEWEST_IMAGES))


def first_clusters(vectors: Vectors, ids: Words, seed: int) -> Hierarchy:
    """Fit one level of clusters; whatever the number of images, at most 65,536 vectors are in memory."""
    rows = _fitted(ids, seed)
    below: Vectors = vectors if len(rows) == len(vectors) else Arrays(vectors.take(rows))
    return build(below, ids[rows], (first_level(len(vectors)),), seed=seed, iterations=ITERATIONS, rounds=0)


def _fitted(ids: Words, seed: int) -> Ints:
    """Return the rows of the sample, ascending: those of the smallest hashes, and of smallest ids among equals."""
    if len(ids) <= FITTED_IMAGES:
        return np.arange(len(ids))
    order = np.lexsort((ids[:, 1], ids[:, 0], draws(ids, "fitted", seed)))
    return np.sort(order[:FITTED_IMAGES])
