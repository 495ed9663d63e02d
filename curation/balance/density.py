"""Density: how many images look like those of a cluster, as far as the collection itself says what alike is.

Levels are numbers of kinds, which nobody knows of a new collection: too few clusters drown what is rare, too many
split what is frequent, and both halve about as chance does. So where none are given, only the first level follows
from the number of images, fine enough to part all kinds, and which of its clusters are of one kind is measured: around
the mean of the collection the cosine of two clusters is near 0 by chance, and of two neighbours as large as the
embedder makes it there; what comes near that is alike. Kinds overlap, so that no border has to be right.
The numbers below were chosen on 115 classes, and tried on others: tests/benchmarks/balance.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from curation.arrays import Bools, Doubles, Floats, Ints, Words
from curation.arrays.draws import draws, numbered
from curation.arrays.exact import EXACT_CELLS, unit

ALIKE = 0.65
"""Of the cosine between a cluster and its nearest other, on the mean of two clusters."""
PASSES = 2
"""Times that density is measured: around the mean of all images, then around the mean of what is even by the first."""
MASS = 2.0**28
"""Of all images, in whole numbers: so sums of centroids on the grid are exact, and their mean the same everywhere."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class ByDensity:
    """Clusters of the first level, of which each gives its images as density says: the denser, the fewer.

    The chance of an image is one over density to the power of 1¼: where kinds overlap, the densities of two kinds
    differ less than their frequencies do.
    """

    alike: Bools
    """[k, k]: which clusters are of one kind; every cluster is like itself."""

    @classmethod
    def measured(cls, centroids: Floats, sizes: Ints) -> "ByDensity":
        """Measure which clusters are alike, by centroids [k, dim] on the grid and sizes [k] in images.

        The mean of the collection is that of its even selection, as far as it is known: where most images are of one
        kind, their own mean is in the middle of that kind, which then seems to be none. Memory: k² bytes.
        """
        by_density = cls(np.eye(len(centroids), dtype=bool))
        shares = np.ones(len(sizes))
        for _ in range(PASSES if len(sizes) else 0):
            mass = np.rint(sizes * shares * (MASS / (sizes * shares).sum()))
            by_density = cls(_alike(unit(centroids - mass @ centroids.astype(np.float64) / mass.sum())))
            shares = 1 / np.maximum(by_density.density(sizes), 1)
        return by_density

    def quotas(self, sizes: Ints, target: int, seed: int) -> Ints:
        """Return how many images each cluster [k] gives: min(target, all), as even in density as whole numbers are."""
        target = min(target, int(sizes.sum()))
        return whole(sizes * self.weights(sizes, target, 1.0), target, draws(numbered(len(sizes)), "clusters", seed))

    def weights(self, sizes: Ints, target: float, most: float) -> Doubles:
        """Return for an image of each cluster [k] min(most, x / density^1.25), x such that all make the target."""
        density = np.maximum(self.density(sizes), 1)
        crowd = density * np.sqrt(np.sqrt(density))  # roots are rounded alike on every machine, powers are not
        order = np.argsort(density, kind="stable")
        ordered, weighed = crowd[order], sizes[order]
        full = most * (np.cumsum(weighed) - weighed)  # what is rarer than this cluster gives, each image its most
        rest = np.cumsum((weighed / ordered)[::-1])[::-1]
        x = (target - full) / np.maximum(rest, 1e-300)
        fits = np.flatnonzero(x <= most * ordered)
        return np.minimum(most, x[fits[0]] / crowd) if len(fits) else np.full(len(sizes), most)

    def density(self, sizes: Ints) -> Ints:
        """Return for each cluster [k] the number of images in the clusters that it is like."""
        return np.asarray(self.alike @ sizes, dtype=np.int64)

    def kinds(self, sizes: Ints) -> Ints:
        """Return a kind for each cluster [k]: the densest takes all that it is like, then the densest of the rest."""
        kinds, found = np.full(len(sizes), -1, np.int64), 0
        for cluster in np.argsort(-self.density(sizes), kind="stable"):
            if kinds[cluster] < 0:
                kinds[self.alike[cluster] & (kinds < 0)] = found
                found += 1
        return kinds


def whole(expected: Doubles, target: int, chance: Words) -> Ints:
    """Return whole numbers [k] that make the target, each the expected one rounded down or up.

    Systematic sampling (Madow 1949): fractions lie end to end, in the order of `chance` [k], and the marks of a ruler
    fall on those that are rounded up. So each is, as often as it says.
    """
    counts = np.floor(expected + ROUNDING).astype(np.int64)
    missing = target - int(counts.sum())
    if missing > 0:
        order = np.argsort(chance, kind="stable")
        reached = np.cumsum(np.maximum(expected - counts, 0)[order])
        start = float(chance[order[0]] % np.uint64(1 << 32)) / (1 << 32)
        marks = (np.arange(missing) + start) * (reached[-1] / missing)
        np.add.at(counts, order[np.searchsorted(reached, marks, "right")], 1)
    return counts


def _alike(around: Floats) -> Bools:
    """Return which of some unit vectors [k, dim] are alike.

    Products of vectors on the grid are exact in float64, so that the same ones are alike on every machine.
    """
    exact = around.astype(np.float64)
    nearest = np.full(len(exact), -1.0)
    for rows, cosines in _blocks(exact):
        cosines[np.arange(len(rows)), rows] = -1
        nearest[rows] = cosines.max(axis=1)
    alike = np.eye(len(exact), dtype=bool)
    for rows, cosines in _blocks(exact):
        alike[rows] |= cosines >= ALIKE * (nearest[rows, None] + nearest) / 2
    return alike


def _blocks(vectors: Doubles) -> Iterator[tuple[Ints, Doubles]]:
    """Yield rows [m] and their cosines [m, k] with all, a block at a time."""
    step = max(1, EXACT_CELLS // max(1, len(vectors)))
    for start in range(0, len(vectors), step):
        rows = np.arange(start, min(start + step, len(vectors)))
        yield rows, vectors[rows] @ vectors.T
