"""K-means: greedy k-means++, then Lloyd's steps, streaming.

The distance is L2 and a centroid is a plain mean, as in Vo et al.: the mean minimises the objective, so that it
never rises. Images come as unit vectors, on which L2 orders as the cosine does, for which embedders are trained.
"""

import math

import numpy as np

from curation.arrays import Floats, Words
from curation.arrays.draws import draws, mix
from curation.arrays.exact import assign, on_grid, totals
from curation.arrays.vectors import Arrays, Vectors

SEEDING_POINTS = 16
"""Where there are more than SEED_ALL points, centroids start from so many for each, chosen by chance."""
SEED_ALL = 32_768
SEEDS_AT_ONCE = 256
"""More centroids start in two steps: k-means++ is quadratic."""


def kmeans(points: Vectors, ids: Words, k: int, iterations: int, *salts: int) -> Floats:
    """Return at most k centroids [k, dim] of points in the unit ball, on the grid; chance is by ids [n, 2] and salts.

    There are fewer where fewer distinct points are found. Each iteration is one pass over the points. Memory: that
    of totals() twice, 16 bytes for each point, and 12·dim·max(SEED_ALL, SEEDING_POINTS·k) bytes while seeding.
    """
    order = draws(ids, "seeding", *salts)
    count = min(len(points), max(SEED_ALL, SEEDING_POINTS * k))
    rows = np.argpartition(order, count - 1)[:count] if count < len(points) else np.arange(count)
    rows = rows[np.lexsort((ids[rows, 1], ids[rows, 0], order[rows]))]
    sample, chances = points.take(rows), order[rows]
    centroids = seeds(sample, chances, k)
    for _ in range(iterations):
        sums, sizes = totals(points, centroids)
        alive = sizes > 0
        moved = on_grid(sums[alive] / sizes[alive, None])
        if not alive.all():  # k-means++ goes on, so that a new place is a distinct one far from the others
            moved = plus_plus(sample, mix(chances), len(centroids), moved)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids


def seeds(points: Floats, chances: Words, k: int) -> Floats:
    """Return at most k of the points [m, dim], all distinct: by k-means++, at once or in two steps.

    As Vo et al. split the first level: into √k groups, then each group into its share of k, by its Σ D².
    """
    none = points[:0]
    if k <= SEEDS_AT_ONCE:
        return plus_plus(points, chances, k, none)
    groups = plus_plus(points, chances, math.isqrt(k), none)
    nearest, distances = assign(Arrays(points), groups)
    spread = np.cumsum(np.bincount(nearest, distances, len(groups)))
    shares = np.diff(np.rint(k * spread / max(spread[-1], 1e-300)), prepend=0).astype(int)
    starts = [none]
    for group, share in enumerate(shares):
        inside = nearest == group
        starts.append(plus_plus(points[inside], mix(chances[inside]), share, none))
    return plus_plus(points, mix(mix(chances)), k, np.concatenate(starts))  # where a group had too few


def plus_plus(points: Floats, chances: Words, k: int, start: Floats) -> Floats:
    """Return `start` and further points [m, dim], k in all, by greedy k-means++ (Arthur and Vassilvitskii 2007).

    Of 2 + ⌊ln k⌋ candidates, drawn by their squared distance D² to the nearest centroid, the one that leaves the
    smallest Σ D² is taken. Candidates win a race: -ln(u) / D² are exponential waiting times, u a hash of the id.
    Costs O(m·k·dim·ln k), and 8·m·(dim + 2·ln k) bytes. The order of the points counts.
    """
    trials = 2 + int(math.log(max(k, 1)))
    exact = points.astype(np.float64)
    norms = (exact * exact).sum(axis=1)
    nearest = np.full(len(exact), 4.0)  # no two points of the unit ball are farther: the first draw is uniform
    if len(start):
        nearest[:] = assign(Arrays(points), start)[1]
    chosen: list[int] = []
    while len(start) + len(chosen) < k and nearest.any():
        chances = mix(chances)
        waiting = -np.log(((chances >> np.uint64(11)) + 0.5) / 2.0**53)
        race = np.divide(waiting, nearest, out=np.full(len(exact), np.inf), where=nearest > 0)
        first = np.argpartition(race, min(trials, len(exact)) - 1)[:trials]
        first = first[np.isfinite(race[first])]
        first = first[np.argsort(race[first])]
        left = np.minimum(norms + norms[first, None] - 2 * (exact[first] @ exact.T), nearest)
        best = int(left.sum(axis=1).argmin())
        chosen.append(int(first[best]))
        nearest = left[best]
    return np.concatenate([start, points[chosen]])
