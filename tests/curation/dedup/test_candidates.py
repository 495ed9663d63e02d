"""Searching vectors and hashes: equal to slow loops, in every orientation."""

import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup import hash_candidates, vector_index
from curation.dedup.knn_pairs import NeighbourPairs, onward_pairs
from curation.dedup.near_search import refuse_low_recall
from curation.dedup.resemblance import NEAR, PairResemblance
from curation.dedup.star_rule import walk
from curation.dedup.vector_index import NOTHING, VectorIndex
from curation.embedders.descriptor import DescriptorEmbedder
from curation.params.copies import DedupParams
from shared.errors import WorkFailedError
from shared.stage_runner import Rounds
from shared.storage import Store
from tests.curation.dedup.hash_walk import HashResemblance
from tests.curation.dedup.test_hash_pairs import pieces


def unit(rng, count, dim=64):
    vectors = rng.standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def turns(dim):
    grid = np.arange(dim).reshape(8, 8)
    return [np.fliplr(grid).ravel().copy(), np.rot90(grid).ravel().copy()]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_the_nearest_vectors_are_those_of_a_slow_loop(seed, count, wanted):
    rng = np.random.default_rng(seed)
    vectors, queries = unit(rng, count), unit(rng, 5)
    index = VectorIndex(vectors, turns(64))
    index.add(np.arange(count))
    scores, items = index.nearest(queries, wanted)
    for query, found, named in zip(queries, scores, items, strict=True):
        best = np.max([vectors @ query[turn] for turn in [np.arange(64), *turns(64)]], axis=0)
        slow = np.sort(best)[::-1][:wanted]
        assert np.allclose(found[: len(slow)], slow, atol=1e-5)
        assert np.allclose(best[named[named != NOTHING]], found[named != NOTHING], atol=1e-5)
        assert len(set(named[named != NOTHING])) == np.sum(named != NOTHING) == min(count, wanted)


def test_an_empty_index_finds_nothing():
    index = VectorIndex(unit(np.random.default_rng(0), 3), [])
    scores, items = index.nearest(index.vectors, 2)
    assert (items == NOTHING).all()
    assert np.isneginf(scores).all()


def test_buckets_find_nearly_all_and_the_recall_says_how_many_and_is_reached_by_more(monkeypatch):
    monkeypatch.setattr(vector_index, "EXACT_BELOW", 1000)
    rng = np.random.default_rng(0)
    vectors = np.repeat(unit(rng, 1500), 2, axis=0) + 0.3 * unit(rng, 3000)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = VectorIndex(vectors.astype(np.float32), [])
    index.add(np.arange(3000))
    assert index.buckets
    assert 0.9 < index.recall() <= 1
    monkeypatch.setattr(vector_index, "PROBES", 1)
    poor = VectorIndex(vectors.astype(np.float32), [])
    poor.add(np.arange(3000))
    assert poor.recall() < 0.99
    assert poor.widen(0.99)
    assert poor.recall() >= 0.99
    assert not poor.widen(0.99)
    assert poor.probes <= vector_index.MOST_PROBES


def test_a_picture_that_was_turned_is_as_near_as_itself():
    from conftest import picture

    image = picture(1, (96, 96))
    embedder = DescriptorEmbedder()
    plain, turned = embedder.embed([image, image.rotate(90)])
    index = VectorIndex(plain[None], embedder.orientations())
    index.add(np.array([0]))
    scores, _ = index.nearest(turned[None], 1)
    assert scores[0, 0] > 0.999 > abs(float(plain @ turned))


def test_judged_pairs_count_only_with_a_kept_image():
    judged = PairResemblance(NEAR, {5: {1: 1.1, 2: 1.2}, 6: {5: 1.3}})
    judged.keep(np.array([1]))
    scores, kept = judged.to_kept(np.array([5, 6, 7]))
    assert kept.tolist() == [1, -1, -1]
    assert scores[0] == pytest.approx(1.1)
    assert judged.among(np.array([5, 6]))[1, 0] == pytest.approx(1.3)
    assert np.isneginf(judged.among(np.array([5, 6]))[0, 1])


@pytest.mark.parametrize("for_worse", [False, True])
def test_what_is_near_a_copy_is_compared_with_better_copies_and_where_that_is_said_with_worse_ones(for_worse):
    near = NeighbourPairs.of([np.array([5, 7])], [np.array([3, 6])], [np.array([0.7, 0.8], np.float32)])
    alike = NeighbourPairs.of([np.array([3, 4])], [np.array([1, 3])], [np.array([-2, -4], np.float32)])
    onward = onward_pairs(near, alike, np.full(8, for_worse))
    assert list(zip(onward.item.tolist(), onward.other.tolist(), strict=True)) == [(5, 1), *[(5, 4)] * for_worse]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_hashes_collapse_what_a_walk_over_everything_would_drop(seed, count):
    rng = np.random.default_rng(seed)
    hashes = np.kron(rng.integers(0, 4, (count, 8), dtype=np.uint8), np.ones((1, 8), np.uint8))  # some are equal
    trusted, order = rng.random(count) < 0.9, rng.permutation(count)
    digests = rng.integers(0, 256, (count, 16), dtype=np.uint8).view("V16").reshape(-1)
    images = SimpleNamespace(trusted=trusted, alike=lambda rounds, name, ones, *_: np.ones(len(ones), dtype=bool))
    images.ids, images.made = digests.__getitem__, "one"
    images.hashes = lambda items: pieces(hashes[items])
    params = DedupParams.model_validate({"perceptual": {"distance": 7}})
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(Store(folder), "rounds", map)
        collapsed = hash_candidates.HashCandidates(images, order, np.ones(count, bool), params, rounds).collapsed()
    walked = walk(order, [HashResemblance(hashes, 7, trusted)])
    kept = dict(zip(collapsed.item.tolist(), collapsed.other.tolist(), strict=True))
    assert kept == {i: match.kept for i, match in walked.items()}


def test_a_recall_that_is_missed_fails_where_the_recipe_says_so():
    facts = {"recall": 0.953, "asked": 0.99, "reached": False, "visits": 64.0}
    refuse_low_recall({"vector": facts}, "say")
    refuse_low_recall({"vector": facts | {"reached": True}}, "fail")
    with pytest.raises(WorkFailedError, match=r"needs a recall of 0.990 by vector, got 0.953 with 64.0 buckets"):
        refuse_low_recall({"vector": facts}, "fail")
