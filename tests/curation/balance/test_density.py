"""Which clusters are alike, what each then gives, and that evenness rises: on vectors of known kinds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.arrays.exact import unit
from curation.arrays.vectors import Arrays
from curation.balance.balance import clustered
from curation.balance.density import ByDensity, whole
from curation.balance.evenness import kl_to_uniform
from curation.balance.sampling import allocate, sample
from curation.params.balance import BalanceParams

SEEDS = st.integers(0, 10_000)
SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=14)


def kinds(seed, sizes, dim=48, spread=0.5):
    """So many vectors around random directions, and the kind of each."""
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    middles = rng.normal(size=(len(sizes), dim)) / np.sqrt(dim)
    return (middles[kind] + rng.normal(size=(len(kind), dim)) * spread / np.sqrt(dim)).astype(np.float32), kind


def digests(count, seed=0):
    return np.random.default_rng([seed, 1]).integers(0, 2**64, (count, 2), dtype=np.uint64)


def balanced(vectors, ids, target, **params):
    """The images that balance takes, or their weights, and their kinds."""
    params = BalanceParams(target=target, **params)
    result = clustered(Arrays(vectors), ids, params)
    sizes = np.bincount(result.clusters, minlength=result.levels[0])
    found = result.allotment.kinds(sizes)[result.clusters]
    if params.how == "weight":
        most = params.heaviest * target / len(vectors)
        return result.allotment.weights(sizes, target, most)[result.clusters], found
    quotas = result.allotment.quotas(sizes, target, params.seed)
    return sample(result.clusters, result.distances, ids, quotas, seed=params.seed), found


def overlapping(seed, count):
    """Random clusters that are alike or not."""
    rng = np.random.default_rng(seed)
    alike = rng.random((count, count)) < 0.3
    return ByDensity(alike | alike.T | np.eye(count, dtype=bool))


LONG_TAILS = [[160, 80, 53, 40, 32, 27, 23, 20, 18, 16], [300, 10, 10, 10, 10, 10, 10], [100, 100, 6, 6, 6, 6, 6, 6]]


@pytest.mark.parametrize("sizes", LONG_TAILS)
@pytest.mark.parametrize("how", ["sample", "weight"])
def test_evenness_rises_and_rare_kinds_stay(sizes, how):
    for seed in range(3):
        vectors, kind = kinds(seed, sizes)
        target = len(kind) // 2
        shares, _ = balanced(vectors, digests(len(kind)), target, how=how, seed=seed)
        before, after = np.bincount(kind), np.bincount(kind, shares)
        assert after.sum() == pytest.approx(target)
        best = np.ones(1) if how == "weight" else allocate(before, target, digests(len(before))[:, 0])
        assert kl_to_uniform(after) < kl_to_uniform(best) + 0.3 * kl_to_uniform(before)
        rarer = np.argsort(before)[: len(before) // 2]
        assert after[rarer].sum() > 0.75 * before[rarer].sum()


def test_the_kinds_of_well_parted_clumps_are_the_clumps():
    vectors, kind = kinds(1, [200, 60, 60, 30, 15], spread=0.3)
    _, found = balanced(vectors, digests(len(kind)), 100)
    pairs = set(zip(kind.tolist(), found.tolist(), strict=True))
    assert len(pairs) == len(set(found.tolist())) == 5


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from(["sample", "weight"]))
def test_the_order_of_the_images_changes_nothing(seed, how):
    vectors, kind = kinds(seed, [60, 20, 10, 5], 12)
    ids, order = digests(len(kind), seed), np.random.default_rng(seed).permutation(len(kind))
    one = balanced(vectors, ids, 40, how=how, seed=seed)
    two = balanced(vectors[order], ids[order], 40, how=how, seed=seed)
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a[order], b)


def test_another_seed_takes_other_images_and_the_same_seed_the_same():
    vectors, kind = kinds(0, [60, 20, 10, 5])
    first, again, other = (balanced(vectors, digests(len(kind)), 40, seed=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(SEEDS, SIZES, st.floats(0, 1), st.sampled_from([1.0, 2.5]))
def test_weights_fall_with_density_up_to_the_most_and_make_the_target(seed, sizes, share, most):
    sizes = np.array(sizes)
    by_density, target = overlapping(seed, len(sizes)), share * most * sizes.sum()
    weights, density = by_density.weights(sizes, target, most), by_density.density(sizes)
    assert density.tolist() == [sum(sizes[j] for j in np.flatnonzero(row)) for row in by_density.alike]
    assert (weights * sizes).sum() == pytest.approx(target)
    assert weights.max() <= most
    below = np.flatnonzero((weights < most) & (sizes > 0))
    level = weights[below] * density[below] ** 1.25
    assert np.allclose(level, level.max(initial=0))


@given(SEEDS, SIZES, st.floats(0, 1.3))
def test_quotas_are_whole_numbers_beside_their_weights(seed, sizes, share):
    sizes = np.array(sizes)
    by_density, target = overlapping(seed, len(sizes)), int(share * sizes.sum())
    quotas = by_density.quotas(sizes, target, seed)
    assert quotas.sum() == min(target, sizes.sum())
    assert (quotas <= sizes).all()
    expected = sizes * by_density.weights(sizes, min(target, int(sizes.sum())), 1.0)
    assert np.abs(quotas - expected).max() < 1


def test_fractions_are_rounded_up_about_as_often_as_they_say():
    expected = np.array([0.1, 0.5, 0.9, 2.5, 1.0])
    rounds = np.array([whole(expected, 5, digests(5, seed)[:, 0]) for seed in range(2000)])
    assert (rounds.sum(axis=1) == 5).all()
    assert np.abs(rounds.mean(axis=0) - expected).max() < 0.08


def test_each_cluster_has_one_kind_and_the_densest_leads():
    by_density = ByDensity(np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool))
    assert by_density.kinds(np.array([1, 1, 1])).tolist() == [0, 0, 0]  # the middle one is like all
    lone = ByDensity(np.eye(3, dtype=bool))
    assert lone.kinds(np.array([1, 5, 3])).tolist() == [2, 0, 1]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_handful_of_images_is_no_special_case(count):
    vectors, ids = kinds(0, [count])[0], digests(count)
    taken, found = balanced(vectors, ids, max(1, count // 2))
    assert taken.sum() == min(count, max(1, count // 2))
    assert len(found) == count


def test_copies_and_blanks_are_alike_only_among_themselves():
    blank, same = np.zeros((4, 8), np.float32), np.ones((4, 8), np.float32)
    vectors = unit(np.concatenate([blank, same, np.eye(8, dtype=np.float32)]))
    taken, _ = balanced(vectors, digests(16), 8)
    assert taken.sum() == 8
