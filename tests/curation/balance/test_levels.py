"""K-means, its hierarchy and balanced sampling over given levels, against their slow definitions."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.arrays.draws import draws, mix
from curation.arrays.exact import Unit, assign, totals, unit
from curation.arrays.kmeans import kmeans, plus_plus, seeds
from curation.arrays.vectors import Arrays
from curation.balance.hierarchy import build, locate
from curation.balance.sampling import ByLevels, allocate, quotas, sample
from shared.errors import WorkFailedError

SEEDS = st.integers(0, 10_000)


class Shuffled:
    """The same vectors, in chunks that are neither equal nor in order."""

    def __init__(self, values, seed):
        self.values, self.rng = values, np.random.default_rng(seed)

    def __len__(self):
        return len(self.values)

    def chunks(self):
        for rows in np.array_split(self.rng.permutation(len(self.values)), self.rng.integers(1, 9)):
            yield rows, self.values[rows]

    def take(self, rows):
        return self.values[rows]


def digests(count, seed=0):
    return np.random.default_rng([seed, 1]).integers(0, 2**64, (count, 2), dtype=np.uint64)


def clumps(seed, sizes, dim=8, spread=0.25):
    """Clumps of so many points around random directions, and the clump of each."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), dim))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return (centres[truth] + rng.normal(size=(len(truth), dim)) * spread).astype(np.float32), truth


def sampled(hierarchy, clusters, distances, ids, target, pick="random"):
    """Sample by the levels of a hierarchy."""
    sizes = np.bincount(clusters, minlength=len(hierarchy.centroids[0]))
    return sample(clusters, distances, ids, quotas(hierarchy.parents, sizes, target, 0), seed=0, pick=pick)


def tree(seed, leaves, depth):
    """Random parents of random nodes, some of them without children."""
    rng = np.random.default_rng(seed)
    counts = [leaves]
    for _ in range(depth):
        counts.append(int(rng.integers(1, counts[-1] + 1)))
    parents = [rng.integers(0, above, below) for below, above in pairwise(counts)]
    return parents, rng.integers(0, rng.choice([3, 40, 1000]), leaves)


# the definition of balanced sampling, slowly


def slow_x(sizes, target):
    return max(x for x in range(max(sizes) + 1) if sum(min(x, size) for size in sizes) <= target)


def check_node(sizes, given, target):
    """What a node's children give is what the paper says, whoever gets the remainder."""
    x = slow_x(sizes, target)
    assert sum(given) == min(target, sum(sizes))
    for size, gives in zip(sizes, given, strict=True):
        assert gives in (min(x, size), min(x + 1, size))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(0, 800), SEEDS)
def test_a_node_allocates_by_the_definition(sizes, target, seed):
    chance = digests(len(sizes), seed)[:, 0]
    given_ = allocate(np.array(sizes), target, chance)
    check_node(sizes, given_.tolist(), target)
    x = slow_x(sizes, target)
    spare = [i for i, size in enumerate(sizes) if size > x]
    lucky = sorted(spare, key=lambda i: chance[i])[: min(target, sum(sizes)) - sum(min(x, s) for s in sizes)]
    assert given_.tolist() == [min(x, size) + (i in lucky) for i, size in enumerate(sizes)]


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 30), st.integers(0, 3), st.floats(0, 1.2))
def test_every_node_of_a_tree_allocates_by_the_definition(seed, leaves, depth, share):
    parents, sizes = tree(seed, leaves, depth)
    target = int(share * sizes.sum())
    size, gives = [sizes], [quotas(parents, sizes, target, seed)]
    for level, parent in enumerate(parents):
        nodes = range(len(parents[level + 1]) if level + 1 < depth else parent.max() + 1)
        size.append(np.array([size[-1][parent == node].sum() for node in nodes]))
        gives.append(np.array([gives[-1][parent == node].sum() for node in nodes]))
    check_node(size[-1].tolist(), gives[-1].tolist(), target)
    for level, parent in enumerate(parents):
        for node in np.unique(parent):
            below = parent == node
            check_node(size[level][below].tolist(), gives[level][below].tolist(), gives[level + 1][node])


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 30), st.integers(0, 3), st.floats(0, 1), st.sampled_from([1.0, 4.0]))
def test_weights_are_quotas_of_pieces_and_make_the_target(seed, leaves, depth, share, most):
    parents, sizes = tree(seed, leaves, depth)
    target = share * most * sizes.sum()
    weights = ByLevels(tuple(parents)).weights(sizes, target, most)
    assert weights.min() >= 0
    assert weights.max() <= most + 1e-5
    assert (weights * sizes).sum() == pytest.approx(target, abs=1e-3)
    if most == 1.0:
        whole = quotas(parents, sizes, round(target), seed)
        assert depth or np.abs(weights * sizes - whole).max() <= 1 + abs(target - round(target))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 20), st.integers(0, 2), st.floats(0, 1.3), st.sampled_from(["random", "closest"]))
def test_exactly_the_target_is_sampled_whatever_the_order_of_the_images(seed, leaves, depth, share, pick):
    parents, sizes = tree(seed, leaves, depth)
    clusters, count = np.repeat(np.arange(leaves), sizes), int(sizes.sum())
    rng = np.random.default_rng(seed)
    distances, ids = rng.integers(0, 5, count).astype(np.float32), digests(count, seed)
    target, order = int(share * count), rng.permutation(count)
    gives = quotas(parents, sizes, target, seed)
    taken = sample(clusters, distances, ids, gives, seed=seed, pick=pick)
    assert taken.sum() == min(target, count)
    again = sample(clusters[order], distances[order], ids[order], gives, seed=seed, pick=pick)
    assert np.array_equal(again, taken[order])
    assert np.array_equal(gives, np.bincount(clusters[taken], minlength=leaves))
    if pick == "closest":
        for leaf in np.flatnonzero((gives > 0) & (gives < sizes)):
            inside = clusters == leaf
            assert distances[inside & taken].max() <= distances[inside & ~taken].min()


def test_another_seed_samples_other_images_and_each_is_as_likely():
    clusters, ids = np.repeat([0, 1], [300, 100]), digests(400)
    nowhere, halves = np.zeros(400, np.float32), np.array([50, 50])
    rounds = [sample(clusters, nowhere, ids, halves, seed=seed) for seed in range(200)]
    often = np.sum(rounds, axis=0)
    assert abs(often[:300].mean() - 200 * 50 / 300) < 1
    assert often.min() > 10
    assert often.max() < 140
    assert len({r.tobytes() for r in rounds}) == 200


# k-means


def slow_plus_plus(points, chances, k):
    """Greedy k-means++ one distance at a time; candidates are the first of a race of exponential waiting times."""
    exact = [[float(v) for v in p] for p in points]
    nearest, chosen = [4.0] * len(exact), []
    while len(chosen) < k and any(nearest):
        chances = mix(chances)
        times = {
            i: -math.log((int(c >> np.uint64(11)) + 0.5) / 2**53) / d
            for i, (c, d) in enumerate(zip(chances, nearest, strict=True))
            if d
        }
        candidates = sorted(times, key=times.get)[: 2 + int(math.log(k))]
        left = {
            c: [min(d, math.dist(p, exact[c]) ** 2) for p, d in zip(exact, nearest, strict=True)] for c in candidates
        }
        best = min(candidates, key=lambda c: sum(left[c]))
        chosen.append(best)
        nearest = [0.0 if exact[i] == exact[best] else d for i, d in enumerate(left[best])]
    return points[chosen]


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 40), st.integers(1, 12))
def test_seeding_equals_kmeans_plus_plus_done_slowly(seed, count, k):
    points = unit(clumps(seed, [count, count // 2], 4)[0])
    chances = digests(len(points), seed)[:, 0]
    assert np.array_equal(plus_plus(points, chances, k, points[:0]), slow_plus_plus(points, chances, k))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 70), st.integers(1, 20))
def test_the_nearest_centroid_and_the_sums_are_exact(seed, count, k):
    points = unit(clumps(seed, [count], 6)[0])
    centroids = points[np.random.default_rng(seed).integers(0, count, k)]  # with ties: copies among the centroids
    gaps = [[sum((float(a) - float(b)) ** 2 for a, b in zip(p, c, strict=True)) for c in centroids] for p in points]
    labels, distances = assign(Arrays(points), centroids)
    assert labels.tolist() == [gap.index(min(gap)) for gap in gaps]
    assert np.array_equal(distances, np.float32([min(gap) for gap in gaps]))
    sums, sizes = totals(Shuffled(points, seed), centroids)
    for c in range(k):
        assert sizes[c] == (labels == c).sum()
        assert sums[c].tolist() == [math.fsum(column) for column in points[labels == c].T.tolist() or [[]] * 6]


def test_seeding_in_two_steps_is_as_good_as_in_one():
    points = unit(clumps(1, [20] * 150, 16)[0])
    chances = digests(len(points))[:, 0]
    costs = [
        assign(Arrays(points), start)[1].sum()
        for start in (seeds(points, chances, 300), plus_plus(points, chances, 300, points[:0]), points[:300])
    ]
    assert costs[0] < 1.1 * costs[1] < 0.9 * costs[2]


@pytest.mark.parametrize("k", [5, 40, 400])
def test_the_objective_never_rises(k):
    vectors, ids = clumps(3, [400, 60, 20, 20]), digests(500)
    points = Unit(Arrays(vectors[0], chunk_rows=77))
    costs = [assign(points, kmeans(points, ids, k, n, 0))[1].sum(dtype=float) for n in range(12)]
    assert all(after <= before + 1e-6 for before, after in pairwise(costs))
    assert costs[-1] < costs[0]


def test_a_dead_centroid_comes_alive_at_a_distinct_point(monkeypatch):
    points = unit(clumps(5, [50, 50, 50], 4, 0.01)[0])
    monkeypatch.setattr("curation.arrays.kmeans.seeds", lambda sample, *_: np.repeat(sample[:1], 3, axis=0))
    centroids = kmeans(Arrays(points), digests(150), 3, 10, 0)
    assert np.bincount(assign(Arrays(points), centroids)[0]).tolist() == [50, 50, 50]


@pytest.mark.parametrize("k", [3, 7, 20, 300])
def test_no_more_clusters_than_distinct_vectors(k):
    distinct = np.concatenate([np.eye(6, dtype=np.float32), np.zeros((1, 6), np.float32)])
    vectors, ids = np.repeat(distinct, 5, axis=0), digests(35)
    hierarchy = build(Arrays(vectors), ids, [k, 2], seed=0, iterations=5, rounds=2)
    assert len(hierarchy.centroids[0]) == min(k, 7)
    clusters, distances = locate(Arrays(vectors), hierarchy)
    assert sampled(hierarchy, clusters, distances, ids, 20).sum() == 20
    if k >= 7:
        assert distances.max() == 0
        assert set(np.bincount(clusters)) == {5}


def test_vectors_that_are_not_finite_are_refused():
    with pytest.raises(WorkFailedError, match="finite vectors"):
        unit(np.array([[1, np.nan]], np.float32))


# the hierarchy


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 120), st.integers(0, 2))
def test_nothing_depends_on_the_order_of_the_images_or_on_chunks(seed, count, rounds):
    vectors, _ = clumps(seed, [count, count // 5], 5)
    ids, order = digests(len(vectors), seed), np.random.default_rng(seed).permutation(len(vectors))
    settings_ = {"levels": [20, 6, 2], "seed": seed, "iterations": 4, "rounds": rounds}
    one = build(Arrays(vectors), ids, **settings_)
    two = build(Shuffled(vectors[order], seed), ids[order], **settings_)
    for a, b in zip(one.centroids + one.parents, two.centroids + two.parents, strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(locate(Arrays(vectors), one), locate(Shuffled(vectors[order], 1), two), strict=True):
        assert np.array_equal(a[order], b)


def test_a_large_first_level_does_not_depend_on_the_order_either(monkeypatch):
    monkeypatch.setattr("curation.arrays.kmeans.SEED_ALL", 100)
    monkeypatch.setattr("curation.arrays.kmeans.SEEDING_POINTS", 4)
    vectors, _ = clumps(2, [1500, 300, 60], 6)
    ids, order = digests(1860), np.random.default_rng(1).permutation(1860)
    one = build(Arrays(vectors), ids, [300, 30], seed=1, iterations=3, rounds=1)
    two = build(Shuffled(vectors[order], 0), ids[order], [300, 30], seed=1, iterations=3, rounds=1)
    assert all(map(np.array_equal, one.centroids, two.centroids))
    other = build(Arrays(vectors), ids, [300, 30], seed=2, iterations=3, rounds=1)
    assert not np.array_equal(one.centroids[0], other.centroids[0])


def test_an_empty_collection_has_no_clusters():
    nothing, ids = Arrays(np.empty((0, 4), np.float32)), digests(0)
    hierarchy = build(nothing, ids, [5, 2], seed=0, iterations=2, rounds=1)
    clusters, distances = locate(nothing, hierarchy)
    assert not sampled(hierarchy, clusters, distances, ids, 3).any()


def entropy(labels):
    shares = np.array(list(Counter(labels.tolist()).values())) / len(labels)
    return float(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("pick", ["random", "closest"])
def test_a_skewed_mixture_gets_flat(pick):
    sizes = [10_000, 1_000, 1_000, 100, 100, 100]
    vectors, truth = clumps(4, sizes, 8, 0.1)
    ids, target = digests(len(truth)), 600
    hierarchy = build(Arrays(vectors), ids, [200, 20], seed=0, iterations=5, rounds=3)
    taken = sampled(hierarchy, *locate(Arrays(vectors), hierarchy), ids, target, pick=pick)
    drawn = np.argsort(draws(ids, "random", 0))[:target]
    balanced, random = np.bincount(truth[taken], minlength=6), np.bincount(truth[drawn], minlength=6)
    assert balanced.sum() == target
    assert entropy(truth[taken]) > 0.85 * math.log(6) > 1.5 * entropy(truth[drawn])
    assert balanced.max() < 10 * balanced.min()
    assert random.max() > 40 * random.min()
