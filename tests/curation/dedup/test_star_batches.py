"""The star rule as a map over batches of components: what the walk over everything drops."""

import tempfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup import star_batches
from curation.dedup.star_batches import drops_of
from curation.dedup.star_components import EXACT_KIND, StarEdges
from shared.stage_runner import Rounds
from shared.storage import Store
from tests.curation.dedup.test_star_components import as_edges, graph, told, walked


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.02, 0.06, 0.3]), st.sampled_from([1, 5, 1000]))
def test_batches_on_storage_drop_what_the_walk_over_everything_drops(seed, count, density, limit):
    leader, scores, bars = graph(seed, count, density)
    edges = as_edges(leader, scores)
    limits, star_batches.BATCH_EDGES = star_batches.BATCH_EDGES, limit
    try:
        with tempfile.TemporaryDirectory() as folder:
            rounds = Rounds(Store(folder), "rounds", lambda fn, items: map(fn, list(items)[::-1]))
            drops, facts = drops_of(edges, np.flatnonzero(bars), rounds)
    finally:
        star_batches.BATCH_EDGES = limits
    assert told(drops) == walked(leader, scores, bars)
    assert facts["most_pictures"] <= facts["largest_component"] <= count


def test_a_component_counts_its_images_and_its_pictures_those_of_equal_pixels_once():
    chain = [(worse, worse - 1, 2) for worse in (1, 2, 3)]
    copies = [(worse, 10, EXACT_KIND) for worse in range(11, 30)]
    worse, better, kind = np.array([*chain, *copies, (4, 3, EXACT_KIND)]).T
    edges = StarEdges(worse, better, kind.astype(np.int8), np.ones(len(kind), np.float32))
    with tempfile.TemporaryDirectory() as folder:
        _, facts = drops_of(edges, np.zeros(0, np.int64), Rounds(Store(folder), "rounds", map))
    assert facts == {"components": 2, "largest_component": 20, "most_pictures": 4}
