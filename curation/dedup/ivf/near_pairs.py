"""Nearest neighbours of a whole corpus: orders the tasks, measures the recall, and searches wider until it holds.

The driver holds samples, counts and names, never the vectors of the corpus.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays.draws import draws, words
from curation.dedup.ivf.assign import ANY, ASKS, TARGET, Probing
from curation.dedup.ivf.centroids import sample_rows
from curation.dedup.ivf.difference import SearchedLists, SearchSpace, searched_lists, true_lists
from curation.dedup.ivf.members import Members
from curation.dedup.ivf.pins import newest, pin_probing, pinned, pinned_probing, read_pinned
from curation.dedup.ivf.recall import VectorSample, joined, probing_for, read_sample
from curation.dedup.ivf.search import read_found, to_ids
from curation.dedup.ivf.task import NearSearch, Task
from curation.dedup.ivf.tasks import QUERIES, beside, sample
from shared.params import fingerprint
from shared.stage_runner.shuffle import Map
from shared.storage import Store

CUSHION = 0.5
"""Share of the allowed loss that is kept in reserve, for chance in the sample."""
ROUNDS = 3
"""So often the search widens before it says that the recall was not reached."""


@dataclass(frozen=True)
class NearPairs(SearchedLists):
    """The finished search, and how good it is."""

    centroids: str
    """The file of centroids that was used."""
    recall: float
    """Of the sampled images that did not choose the probing."""
    reached: bool
    """Whether that is the recall asked for."""
    probing: Probing


NOTHING_NEAR = NearPairs((), 0.0, 0, (), "", 1.0, True, Probing(0.0))


def near_pairs(
    store: Store,
    folder: str,
    selections: Sequence[str],
    rows: int,
    plan: NearSearch,
    pins: str,
    run: Map = map,
    shaping: bool = True,
    memory: str = "",
) -> NearPairs:
    """Return the pairs of the images that these selections name, some `rows` of them.

    `pins` is the folder of the centroids and of how widely they are searched. Images that are not `shaping`, such as
    those of evaluation sets, split none. `memory` is a folder for what searches found among images whose digests stand
    for the same vectors; without one all are searched.
    """
    plan = plan.sized(rows)
    members, task = Members.of_selections(store, selections), Task.of(store, folder, plan)
    groups = _groups(selections, len(members), plan)
    low = members.greatest_draw(TARGET, sample_rows(rows, plan.bucket_rows), "centroids")
    high = members.greatest_draw(ASKS, QUERIES, "recall")
    work = [
        replace(task.reading(group), low=low, high=high, output=f"{folder}/sample-{i:05d}.parquet")
        for i, group in enumerate(groups)
    ]
    targets, pool, queries = _sampled(store, run(sample, work))
    if not targets or not len(queries.ids):
        return NOTHING_NEAR
    name = (None if shaping else newest(store, pins)) or pinned(
        store, pins, pool.vectors, words(pool.ids), targets, plan.bucket_rows
    )
    space = SearchSpace(task, groups, name, read_pinned(store, name), memory or f"{folder}/memory", members)
    true, remembered = true_lists(run, space, queries)
    asks = fingerprint(name, shaping, plan.cosine, plan.count, plan.recall, plan.most_probes)
    found = _widened(run, space, true, f"{pins}/probing-{asks}.json")
    return replace(found, remembered=(*found.remembered, remembered))


def _widened(run: Map, space: SearchSpace, true: pa.Table, pin: str) -> NearPairs:
    """Search as widely as is pinned, measure the recall, and search wider until it holds; pin what was enough."""
    store, plan, margins = space.task.store, space.task.search, true["margin"].to_numpy()
    judging = draws(words(to_ids(true["item"])), "judging") % 2 == 1
    goal, before, done = 1 - (1 - plan.recall) * (1 - CUSHION), pinned_probing(store, pin), None
    for attempt in range(ROUNDS):
        choosing = ~judging if not attempt else np.ones(len(margins), dtype=bool)
        probing = before or probing_for(margins[choosing], goal, plan.most_probes)
        goal, before = 1 - (1 - goal) / 2, None
        if done is not None and probing.margin <= done.probing.margin:
            continue
        found = searched_lists(run, space, probing)
        recall = _recall(store, found.files, true.filter(pa.array(judging)), plan.count)
        reached, remembered = recall >= plan.recall, (*(done.remembered if done else ()), *found.remembered)
        done = NearPairs(found.files, found.visits, found.largest, remembered, space.pinned, recall, reached, probing)
        if reached:
            break
    assert done is not None
    pin_probing(store, pin, done.probing)
    return done


def _sampled(store: Store, offers: Iterable[tuple[int, str]]) -> tuple[int, VectorSample, VectorSample]:
    """Return the targets and the samples of all: a few of each part, never the corpus."""
    counts, names = zip((0, ""), *offers, strict=True)
    pools = [read_sample(store, name) for name in names[1:]]
    queries = [read_sample(store, beside(name, "queries")) for name in names[1:]]
    return sum(counts), joined(pools, "centroids"), joined(queries, "recall")


def _recall(store: Store, files: Sequence[str], true: pa.Table, count: int) -> float:
    """Return the share of the true pairs that stand in the files, or that nearer ones keep out of a full list.

    True neighbours are those of images as they are: of turned ones nearer ones may be found.
    """
    rows = read_found(store, ())
    for file in files:
        more = read_found(store, [file])
        rows = pa.concat_tables([rows, more.filter(pc.is_in(more["item"], value_set=true["item"]))])
    found = set(zip(rows["item"].to_pylist(), rows["other"].to_pylist(), strict=True))
    lists = rows.group_by("item").aggregate([("cosine", "count"), ("cosine", "min")])
    full = lists.filter(pc.greater_equal(lists["cosine_count"], count))
    least = dict(zip(full["item"].to_pylist(), full["cosine_min"].to_pylist(), strict=True))
    hits = [
        (item, other) in found or cosine <= least.get(item, ANY)
        for item, other, cosine in zip(*(true[name].to_pylist() for name in ("item", "other", "cosine")), strict=True)
    ]
    return float(np.mean(hits)) if hits else 1.0


def _groups(parts: Sequence[str], images: int, plan: NearSearch) -> list[tuple[str, ...]]:
    """Return the parts in groups, each of which becomes one file: one for each task, but none of a few images."""
    enough = -(-plan.file_images * len(parts) // max(images, 1))
    size = max(1, min(plan.parts_per_file, max(len(parts) // plan.tasks, enough)))
    return [tuple(parts[i : i + size]) for i in range(0, len(parts), size)]
