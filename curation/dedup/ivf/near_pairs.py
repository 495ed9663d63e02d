"""Nearest neighbours of a whole corpus: orders the tasks, measures the recall, and searches wider until it holds.

The driver holds samples, counts and names, never the vectors of the corpus.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from curation.arrays import Ints
from curation.dedup.ivf.assign import Probing, fixed_binary
from curation.dedup.ivf.centroids import Centroids, sample_rows
from curation.dedup.ivf.pins import newest, pinned, read_pinned
from curation.dedup.ivf.recall import TruePairs, VectorSample, merge_truth, needed, probing_for, words
from curation.dedup.ivf.search import to_ids
from curation.dedup.ivf.tasks import (
    QUERIES,
    NearSearch,
    Task,
    assign,
    collect,
    joined,
    sample,
    search,
    truth,
    write_sample,
)
from shared.stage_runner.shuffle import Map
from shared.storage import Store
from shared.storage.sorted_file import open_sorted

CUSHION = 0.25
"""Share of the allowed loss that is kept in reserve, for chance in the sample."""
ROUNDS = 3
"""So often the search widens before it says that the recall was not reached."""


@dataclass(frozen=True)
class NearPairs:
    """The finished search: files of directed pairs, sorted by item, and how good it is."""

    files: tuple[str, ...]
    centroids: str
    """The file of centroids that was used."""
    recall: float
    """Of the sampled images that did not choose the probing."""
    reached: bool
    """Whether that is the recall asked for."""
    probing: Probing
    visits: float
    """Buckets of a vector on average, its own included."""
    largest: int
    """Rows of the largest bucket, visitors included."""


NOTHING_NEAR = NearPairs((), "", 1.0, True, Probing(0.0), 0.0, 0)


def near_pairs(
    store: Store,
    folder: str,
    selections: Sequence[str],
    rows: int,
    plan: NearSearch,
    pins: str,
    run: Map = map,
    shaping: bool = True,
) -> NearPairs:
    """Return the pairs of the images that these selections name, some `rows` of them.

    `pins` is the folder of the centroids. Images that are not `shaping`, such as those of evaluation sets, split none.
    """
    groups = _groups(selections, plan.parts_per_file)
    task = Task(store.url, folder, plan, ())
    asked = sample_rows(rows, plan.bucket_rows)
    targets, pool, queries = _sampled([*run(sample, [replace(task, names=g, low=asked) for g in groups])], asked)
    if not targets or not len(queries.ids):
        return NOTHING_NEAR
    name = (None if shaping else newest(store, pins)) or pinned(
        store, pins, pool.vectors, words(pool.ids), targets, plan.bucket_rows
    )
    centroids = read_pinned(store, name)
    write_sample(store, f"{folder}/queries.parquet", queries)
    asking = [replace(task, names=(f"{folder}/queries.parquet", *group)) for group in groups]
    true = merge_truth([*run(truth, asking)], plan.count)
    return _widened(store, task, name, groups, (queries, true), centroids, run)


def _widened(
    store: Store,
    task: Task,
    name: str,
    groups: list[tuple[str, ...]],
    sampled: tuple[VectorSample, TruePairs],
    centroids: Centroids,
    run: Map,
) -> NearPairs:
    """Search, measure the recall, and search wider until it holds."""
    plan, (queries, true) = task.search, sampled
    judging = np.arange(len(queries.ids)) % 2 == 1
    margins = needed(queries, true, centroids, plan.most_probes)
    goal, done = 1 - (1 - plan.recall) * (1 - CUSHION), None
    for attempt in range(ROUNDS):
        choosing = ~judging[true.query] if not attempt else np.ones(len(margins), dtype=bool)
        probing = probing_for(margins[choosing], goal, plan.most_probes)
        if done is not None and probing == done.probing:
            break
        files, counts, rows = _search(run, replace(task, probing=probing), name, groups, len(centroids))
        recall = _recall(store, files, queries, true, judging)
        reached = recall >= plan.recall
        done = NearPairs(files, name, recall, reached, probing, float(counts.sum() / max(rows, 1)), int(counts.max()))
        if reached:
            break
        goal = 1 - (1 - goal) / 2
    assert done is not None
    return done


def _search(
    run: Map, task: Task, pinned_name: str, groups: list[tuple[str, ...]], buckets: int
) -> tuple[tuple[str, ...], Ints, int]:
    plan, folder = task.search, task.folder
    sorted_ = [f"{folder}/buckets-{i:05d}.parquet" for i in range(len(groups))]
    work = [replace(task, names=(pinned_name, *g), output=o) for g, o in zip(groups, sorted_, strict=True)]
    counted = [*run(assign, work)]
    counts, rows = np.sum([counts for counts, _ in counted], axis=0), sum(rows for _, rows in counted)
    edges = range(0, buckets, plan.buckets_per_task)
    work = [
        replace(task, names=tuple(sorted_), output=f"{folder}/found-{i:05d}.parquet", low=low, high=high)
        for i, (low, high) in enumerate((e, min(buckets, e + plan.buckets_per_task)) for e in edges)
    ]
    found = tuple(sorted(run(search, work)))
    cuts = np.linspace(0, 256, plan.spans + 1).astype(int)
    work = [
        replace(task, names=found, output=f"{folder}/pairs-{i:05d}.parquet", low=int(cuts[i]), high=int(cuts[i + 1]))
        for i in range(plan.spans)
    ]
    return tuple(sorted(run(collect, work))), counts, rows


def _sampled(
    offers: list[tuple[int, VectorSample, VectorSample]], asked: int
) -> tuple[int, VectorSample, VectorSample]:
    targets, pools, queries = zip(*offers, strict=True) if offers else ((), (), ())
    if not sum(targets):
        return 0, VectorSample.none(), VectorSample.none()
    return sum(targets), joined([*pools], asked, "centroids"), joined([*queries], QUERIES, "recall")


def _recall(store: Store, files: Sequence[str], queries: VectorSample, true: TruePairs, judging: Any) -> float:
    """Return the share of the judging queries' true neighbours that stand in the files."""
    wanted = fixed_binary(queries.ids[judging], 16)
    found: list[tuple[bytes, bytes]] = []
    for name in files:
        with open_sorted(store, name) as file:
            rows = file.span(bytes(16), None)
            rows = rows.filter(pc.is_in(rows["item"], value_set=wanted))
            found += zip(to_ids(rows["item"]).tolist(), to_ids(rows["other"]).tolist(), strict=True)
    asked = judging[true.query]
    pairs = zip(queries.ids[true.query[asked]].tolist(), true.others.ids[asked].tolist(), strict=True)
    known = set(found)
    hits = [pair in known for pair in pairs]
    return float(np.mean(hits)) if hits else 1.0


def _groups(parts: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(parts[i : i + size]) for i in range(0, len(parts), size)]
