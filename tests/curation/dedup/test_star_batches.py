"""The star rule as a map over batches of components: what the walk over everything drops."""

import tempfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup import star_batches
from curation.dedup.star_batches import drops_of
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
    assert facts["largest_component"] <= count
