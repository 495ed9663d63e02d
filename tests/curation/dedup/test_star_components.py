import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup.components import components
from curation.dedup.exact_classes import EXACT, find_duplicates
from curation.dedup.resemblance import NEAR, PERCEPTUAL, PairResemblance
from curation.dedup.star_components import EXACT_KIND, StarEdges, batches, star_rule
from tests.benchmarks.scale.label_rounds import by_rounds

KINDS = {EXACT: EXACT_KIND, PERCEPTUAL: 1, NEAR: 2}


def graph(seed, count, density):
    """Random resemblances of leaders in keep order, exact classes, and scores with many ties."""
    rng = np.random.default_rng(seed)
    leader = np.arange(count)
    for member in range(1, count):
        if rng.random() < 0.25:
            leader[member] = leader[rng.integers(0, member)]
    scores = [{}, {}]
    for table in scores:
        for worse in range(count):
            near = np.flatnonzero((rng.random(worse) < density) & (leader[:worse] == np.arange(worse)))
            if leader[worse] == worse and len(near):
                table[worse] = {int(other): float(rng.integers(1, 4)) for other in near}
    return leader, scores, rng.random(count) < 0.2


def walked(leader, scores, barred):
    """What the walk over everything drops, and why."""
    resemblances = [PairResemblance(PERCEPTUAL, scores[0]), PairResemblance(NEAR, scores[1])]
    dropped = find_duplicates(np.arange(len(leader)), leader, resemblances, barred)
    return {item: (m.kept, KINDS[m.reason], m.score) for item, m in dropped.items()}


def as_edges(leader, scores):
    rows = [(m, first, EXACT_KIND, 0.0) for m, first in enumerate(leader.tolist()) if m != first]
    for kind, table in enumerate(scores, start=1):
        rows += [(worse, other, kind, score) for worse, near in table.items() for other, score in near.items()]
    columns = zip(*rows, strict=True) if rows else [[]] * 4
    types = ("i8", "i8", "i1", "f4")
    return StarEdges(*(np.array(column, kind) for column, kind in zip(columns, types, strict=True)))


def told(drops):
    columns = (getattr(drops, name).tolist() for name in ("kept", "kind", "score"))
    return dict(zip(drops.item.tolist(), zip(*columns, strict=True), strict=True))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.02, 0.06, 0.3]), st.integers(1, 30))
def test_components_one_by_one_drop_what_the_walk_over_everything_drops(seed, count, density, limit):
    leader, scores, bars = graph(seed, count, density)
    edges, barred = as_edges(leader, scores), np.flatnonzero(bars)
    expected = walked(leader, scores, bars)
    assert told(star_rule(edges, barred)) == expected
    nodes, labels = components(np.stack([edges.worse, edges.better], axis=1))
    batch, giants = batches(labels[np.searchsorted(nodes, edges.worse)], limit)
    apart = {}
    for number in np.unique(batch):
        rows = batch == number
        assert number in giants or rows.sum() <= 2 * limit
        apart |= told(star_rule(edges.take(rows), barred))
    assert apart == expected


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 120), st.integers(1, 100), st.integers(1, 5), st.integers(1, 4))
def test_rounds_of_labels_find_the_components_that_one_process_finds(seed, count, nodes, parts, buckets):
    edges = np.random.default_rng(seed).integers(0, nodes, (count, 2))
    expected_nodes, expected = components(edges)
    found = np.concatenate(list(by_rounds(np.array_split(edges, parts), buckets)))
    labels = dict(found.tolist())
    assert {n: labels.get(n, n) for n in expected_nodes.tolist()} == dict(
        zip(expected_nodes.tolist(), expected.tolist(), strict=True)
    )


def test_a_chain_and_a_star_of_many_images_are_one_component():
    path = np.stack([np.arange(2000), np.arange(1, 2001)], axis=1)
    star = np.stack([np.full(2000, 5000), np.arange(5001, 7001)], axis=1)
    found = np.concatenate(list(by_rounds([path, star], 3)))
    assert sorted(found[:, 0].tolist()) == [*range(1, 2001), *range(5001, 7001)]
    assert set(found[:, 1].tolist()) == {0, 5000}


def test_a_giant_component_is_a_batch_of_its_own():
    labels = np.repeat([0, 1, 2, 3], [3, 50, 2, 3])
    batch, giants = batches(labels, 10)
    assert giants.tolist() == [int(batch[labels == 1][0])]
    assert len(set(batch[labels != 1].tolist())) == 1
