"""Of many images, what is near a few: the rows of buckets without which the search finds the same."""

from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.arrays.draws import words
from curation.dedup.ivf import few
from curation.dedup.ivf.assign import ASKS, ASKS_NEW, NEW, TARGET, Probing, VectorPart, bucket_rows, visits_of
from curation.dedup.ivf.centroids import fit
from curation.dedup.ivf.few import FewRows, are_few
from curation.dedup.ivf.grid import on_grid
from curation.dedup.ivf.search import search_bucket
from tests.curation.dedup.test_near_pairs import TURN, corpus

ROLL = np.roll(np.arange(16), 3)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 8),
    buckets=st.sampled_from([1, 6]),
    margin=st.sampled_from([0.0, 0.1, 0.4]),
    turns=st.sampled_from([(), (TURN,), (ROLL, np.argsort(ROLL))]),
)
def test_rows_are_near_a_few_where_the_search_of_their_bucket_finds_a_pair(seed, count, buckets, margin, turns):
    ids, vectors = corpus(seed, 60)
    for turn in turns:  # others are the first ones turned
        vectors[20:40] = vectors[:20, turn] + np.random.default_rng(seed).normal(scale=0.1, size=(20, 16))
    order = np.random.default_rng(seed).permutation(60)
    images = VectorPart.of(ids[order], on_grid(vectors[order]))
    images.roles[:] = np.where(np.arange(60) < count, ASKS | TARGET | NEW, ASKS_NEW | TARGET)
    centroids = fit(images.vectors, words(images.ids), 60, 60 // buckets)
    new, known = images.take(np.arange(count)), images.take(np.arange(count, 60))
    theirs, visits = (visits_of(part.vectors, centroids, Probing(margin), turns) for part in (new, known))
    rows, others = bucket_rows(new, theirs)[0], bucket_rows(known, visits)[0]
    with patch.object(few, "BLOCK", 4):
        near = FewRows.of(rows, turns).near(known.vectors, visits, 0.7)
    both, found = pa.concat_tables([rows, others]), set()
    for bucket in np.unique(both["bucket"].to_numpy()).tolist():
        pairs = search_bucket(both.filter(pc.equal(both["bucket"], bucket)), 0.7, 60, turns)
        found |= {(bucket, item) for side in ("item", "other") for item in pairs[side].to_pylist()}
    keys = zip(visits.bucket.tolist(), others["image_id"].to_pylist(), strict=True)
    assert [key in found for key in keys] == near.tolist()


def test_few_are_a_small_share_and_fit_into_memory(monkeypatch):
    new = np.arange(1000) < 100
    assert are_few(new, 3.0, 256)
    assert not are_few(np.arange(1000) < 101, 3.0, 256)
    assert not are_few(new, np.inf, 256)
    monkeypatch.setattr(few, "BYTES", 100 * 3 * 256 * 4 - 1)
    assert not are_few(new, 3.0, 256)
