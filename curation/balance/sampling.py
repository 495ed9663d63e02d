"""Balanced sampling: every branch of the hierarchy gives as equally as it can (Vo et al. 2024, section 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from curation.arrays import Bools, Doubles, Floats, Ints, Words
from curation.arrays.draws import draws, numbered

Pick = Literal["random", "closest"]


PIECES = 1 << 20
"""Into so many an image is cut where it is weighed: shares are then whole numbers of pieces."""


class Allotment(Protocol):
    """How many of their images clusters give."""

    def quotas(self, sizes: Ints, target: int, seed: int) -> Ints:
        """Return how many images each cluster [k] gives, by sizes in images: min(target, all) together."""

    def weights(self, sizes: Ints, target: float, most: float) -> Doubles:
        """Return how often each cluster's images [k] count, at most `most` times: all images make the target."""

    def kinds(self, sizes: Ints) -> Ints:
        """Return the kind of each cluster [k]."""


@dataclass(frozen=True)
class ByLevels:
    """Every branch of a hierarchy gives as equally as it can."""

    parents: tuple[Ints, ...]
    """Those of a Hierarchy."""

    def quotas(self, sizes: Ints, target: int, seed: int) -> Ints:
        """Share out whole images."""
        return quotas(self.parents, sizes, target, seed)

    def weights(self, sizes: Ints, target: float, most: float) -> Doubles:
        """Share out pieces of images, each of which is there `most` times."""
        pieces = np.rint(sizes * (most * PIECES)).astype(np.int64)
        given = quotas(self.parents, pieces, round(target * PIECES), 0)
        return np.asarray(given / np.maximum(sizes * float(PIECES), 1))

    def kinds(self, sizes: Ints) -> Ints:
        """Take every cluster for a kind."""
        return np.arange(len(sizes))


def sample(clusters: Ints, distances: Floats, ids: Words, shares: Ints, *, seed: int, pick: Pick = "random") -> Bools:
    """Return which images [n] are sampled: of each cluster as many as `shares` [k] says.

    `clusters` [n] and `distances` [n] are those of the first level, ids are [n, 2]. Within a cluster images are
    picked at random, or closest to the centroid first. Memory: 48 bytes for each image.
    """
    chance = draws(ids, "images", seed)
    return first_of_each(clusters, (chance, distances) if pick == "closest" else (chance,), ids, shares)


def quotas(parents: Sequence[Ints], sizes: Ints, target: int, seed: int) -> Ints:
    """Return how many images each cluster [k] of the first level gives, by sizes in images, from the root down."""
    levels = [sizes]
    for i, parent in enumerate(parents):
        nodes = len(parents[i + 1]) if i + 1 < len(parents) else 0
        levels.append(np.bincount(parent, levels[-1], nodes).astype(np.int64))  # exact below 2⁵³ images
    above, shares = np.zeros(len(levels[-1]), np.int64), np.array([target])
    for level in range(len(levels) - 1, -1, -1):
        chance = draws(numbered(len(above)), "nodes", seed, level)
        below, order = np.empty_like(above), np.argsort(above, kind="stable")
        for children in np.split(order, np.flatnonzero(np.diff(above[order])) + 1):
            if len(children):
                share = int(shares[above[children[0]]])
                below[children] = allocate(levels[level][children], share, chance[children])
        shares, above = below, parents[level - 1] if level else above
    return shares


def allocate(sizes: Ints, target: int, chance: Words) -> Ints:
    """Return what each child of a node gives: min(x, size), x the largest integer with Σ min(x, size) <= target.

    What is then missing comes, one image each, from children that have more, in the order of `chance`.
    """
    low, high = 0, int(sizes.max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(sizes, middle).sum() <= target else (low, middle - 1)
    given = np.minimum(sizes, low)
    spare = np.flatnonzero(sizes > low)
    given[spare[np.argsort(chance[spare], kind="stable")][: target - int(given.sum())]] += 1
    return given


def first_of_each(clusters: Ints, keys: tuple[Words | Floats, ...], ids: Words, counts: Ints) -> Bools:
    """Return which rows [n] are the first counts[c] of their cluster c, by keys (the last one first), then by id."""
    order = np.lexsort((ids[:, 1], ids[:, 0], *keys, clusters))
    ordered = clusters[order]
    starts = np.searchsorted(ordered, np.arange(len(counts)))
    taken = np.zeros(len(clusters), np.bool_)
    taken[order] = np.arange(len(order)) - starts[ordered] < counts[ordered]
    return taken
