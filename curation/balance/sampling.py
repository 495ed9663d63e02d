"""Balanced sampling: every branch of the hierarchy gives as equally as it can (Vo et al. 2024, section 3.3)."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from curation.arrays import Bools, Floats, Ints, Words
from curation.balance import draws, numbered

Pick = Literal["random", "closest"]


def sample(
    parents: Sequence[Ints],
    clusters: Ints,
    distances: Floats,
    ids: Words,
    target: int,
    *,
    seed: int,
    pick: Pick = "random",
) -> Bools:
    """Return which images [n] are sampled: min(target, n) of them.

    `clusters` [n] and `distances` [n] are those of the first level, `parents` those of a Hierarchy, ids are
    [n, 2]. Within a cluster images are picked at random, or closest to the centroid first. Memory: 48 bytes for
    each image.
    """
    sizes = np.bincount(clusters, minlength=len(parents[0]) if parents else 0)
    shares = quotas(parents, sizes, target, seed)
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
