"""The searches of one corpus: of all its images, or of what changed since the lists that are remembered were made."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Ints
from curation.dedup.ivf.assign import ASKS, NEW, TARGET, Probing
from curation.dedup.ivf.centroids import Centroids
from curation.dedup.ivf.few import are_few
from curation.dedup.ivf.lists import FoundLists, ListDifference, write_lists
from curation.dedup.ivf.members import Members
from curation.dedup.ivf.products import comparing
from curation.dedup.ivf.recall import TRUE, VectorSample, nearest_true, write_sample
from curation.dedup.ivf.search import FOUND, read_found, to_ids
from curation.dedup.ivf.selection import write_difference
from curation.dedup.ivf.task import Task
from curation.dedup.ivf.tasks import assign, beside, carry, collect, look, search, settle, truth
from shared.params import fingerprint
from shared.stage_runner.shuffle import Map
from shared.storage.checked import read_table
from shared.storage.sorted_file import write_sorted

BOTH_WAYS = 2
"""Of so many times the share of what is searched anew is the work: a pair has two images."""
SEARCHED, ASSIGNED = 100, 4096
"""From so many buckets on work is for a GPU: below, by estimate, to start using one takes as long as the search, and
writing rows for buckets longer than comparing them with centroids."""

SelectionGroups = list[tuple[str, ...]]
"""Names of selections, of which a group becomes one file."""


@dataclass(frozen=True)
class SearchSpace:
    """What is searched: the parts, in groups of names of selections, and the pinned centroids."""

    task: Task
    groups: SelectionGroups
    pinned: str
    centroids: Centroids
    memory: str
    """The folder of what is remembered."""
    members: Members
    """Who takes part, of all selections."""

    def name(self, *facts: object) -> str:
        """Return the file of what is remembered under these facts and those of every search in this space."""
        plan, turns = self.task.search, self.task.turns.rpartition("/")[2]
        asked = fingerprint(FOUND.names, self.pinned, plan.cosine, plan.count, turns, *facts)
        return f"{self.memory}/{asked}.parquet"


@dataclass(frozen=True)
class SearchedLists:
    """Files of directed pairs, sorted by item, and what the search took."""

    files: tuple[str, ...]
    visits: float
    """Buckets of a vector on average, its own included."""
    largest: int
    """Rows of the largest bucket, visitors included."""
    remembered: tuple[str, ...]
    """The files in which the next search finds what this one did."""


def true_lists(run: Map, space: SearchSpace, queries: VectorSample) -> tuple[pa.Table, str]:
    """Return the true neighbours of sampled images as rows of TRUE, and the file in which they are remembered."""
    task, plan = space.task, space.task.search
    asking, roles = space.members.ids.find(queries.ids), space.members.roles & TARGET
    roles[asking] |= ASKS
    members = Members(space.members.ids, roles)
    name = space.name(plan.most_probes)
    difference = FoundLists.read(task.store, name, TRUE).difference(members, plan.count)
    left = difference.members.roles
    fresh = (left[asking] & ASKS) > 0
    tables = [TRUE.empty_table(), *difference.kept()]
    if fresh.any() or (left & NEW).any():
        names = [f"{task.folder}/queries-{i}.parquet" for i in range(2)]
        for each, chosen in zip(names, (fresh, ~fresh), strict=True):
            write_sample(task.store, each, VectorSample(queries.ids[chosen], queries.vectors[chosen]))
        groups = space.groups if fresh.all() else _left(space, difference, {"true": np.ones(len(left), bool)})[0]
        work = [
            replace(task.reading((space.pinned, *names, *group)), output=f"{task.folder}/truth-{i:05d}.parquet")
            for i, group in enumerate(groups)
        ]
        tables += [read_table(task.store, file) for file in run(truth, work)]
    true = nearest_true(pa.concat_tables(tables), plan.count)
    write_lists(task.store, name, TRUE, [true], members, {})
    return true, name


def searched_lists(run: Map, space: SearchSpace, probing: Probing) -> SearchedLists:
    """Return the nearest others of all that ask; read and write what is remembered."""
    task = replace(space.task, probing=probing)
    store, plan = task.store, task.search
    name = space.name(plan.likely, plan.thumbnails, probing.margin, probing.most)
    before = FoundLists.read(store, name, FOUND)
    difference = before.difference(space.members, plan.count)
    new = (difference.members.roles & (ASKS | NEW)) > 0
    searched = float(new.mean())
    if before.groups and not difference.left and not searched:
        files = tuple(file.name for file in _files_of(task, before.lists(), "pairs"))
        return SearchedLists(files, before.facts["visits"], before.facts["largest"], (name,))
    turned = before.facts.get("visits", math.inf) + len(task.permutations)
    few = new & are_few(new, turned, space.centroids.vectors.shape[1])
    groups = _left(space, difference, {"left": ~few, "few": few})
    kept = _files_of(task, difference.kept(), "kept")
    del before, difference, new, few
    tasks = max(1, math.ceil(plan.tasks * min(1.0, BOTH_WAYS * searched)))
    files, visits, largest = _searched(run, replace(task, search=replace(plan, tasks=tasks)), space, groups, kept)
    facts = {"visits": visits, "largest": largest}
    write_lists(store, name, FOUND, (read_found(store, [file]) for file in files), space.members, facts)
    return SearchedLists(files, visits, largest, (name,))


class _ListsFile(NamedTuple):
    """A file of the lists of some images, and the digests of the first and of the last of these."""

    name: str
    first: bytes
    last: bytes


def _files_of(task: Task, pieces: Iterable[pa.Table], what: str) -> list[_ListsFile]:
    """Write lists that are in the order of their images, piece by piece."""
    files = list[_ListsFile]()
    for rows in pieces:
        if len(rows):
            name = f"{task.folder}/{what}-{len(files):05d}.parquet"
            write_sorted(task.store, name, rows, "item")
            files.append(_ListsFile(name, rows["item"][0].as_py(), rows["item"][-1].as_py()))
    return files


def _left(space: SearchSpace, difference: ListDifference, some: dict[str, Bools]) -> list[SelectionGroups]:
    """Write what roles are left to some members, by selection, and to others; return the names of each, in groups."""
    store, folder, names = space.task.store, space.task.folder, {what: dict[str, str]() for what in some}
    for each in (name for group in space.groups for name in group):
        selection = read_table(store, each)
        place = difference.members.ids.find(to_ids(selection["image_id"]))
        for what, chosen in some.items():
            inside = chosen[place]
            if inside.any():
                names[what][each] = name = f"{folder}/{what}-{each.rpartition('/')[2]}"
                roles, floors = (column[place[inside]] for column in (difference.members.roles, difference.floors))
                write_difference(store, name, selection.filter(pa.array(inside)), roles, floors)
    groups = [[tuple(own[each] for each in group if each in own) for group in space.groups] for own in names.values()]
    return [[group for group in own if group] for own in groups]


def _searched(
    run: Map, task: Task, space: SearchSpace, groups: Sequence[SelectionGroups], kept: Sequence[_ListsFile]
) -> tuple[tuple[str, ...], float, int]:
    """Return the files of pairs, those that are kept included, and how many visit a bucket on average and at most.

    The groups are those of all, or of all others and then of the few that are new.
    """
    plan, buckets = task.search, len(space.centroids)
    few, counts, rows = _assigned(run, task, space, groups[1], "few")
    many, visits, images = _assigned(run, task, space, groups[0], "buckets", few)
    sorted_, counts, rows = [*few, *many], counts + visits, rows + images
    per_task = max(1, min(plan.rows_per_task // plan.bucket_rows, buckets // plan.tasks))
    of_buckets = [*range(0, buckets, per_task), buckets]
    of_images = np.linspace(0, 256, max(1, min(plan.spans, rows // plan.span_images)) + 1).astype(int).tolist()
    searching = _spanned(task.reading(sorted_), "found", of_buckets)
    found = sorted(run(comparing(search, pays=buckets >= SEARCHED), searching))
    _delete(task, sorted_)
    collecting = [
        each.reading([*found, *(one.name for one in kept if one.last[0] >= each.low and one.first[0] < each.high)])
        for each in _spanned(task, "pairs", of_images)
    ]
    files = sorted(run(collect, collecting))
    _delete(task, [*found, *(one.name for one in kept)])
    if plan.thumbnails:
        # A pair that met in several buckets is looked at in one, to which the thumbnail of its guest is carried.
        seen = [beside(name, "thumbnails") for name in sorted_]
        doubts, guests = ([beside(name, what) for name in files] for what in ("doubts", "guests"))
        carried = sorted(run(carry, _spanned(task.reading(seen, guests), "carried", of_buckets)))
        looked = sorted(run(look, _spanned(task.reading([*seen, *carried], doubts), "looked", of_buckets)))
        _delete(task, [*seen, *carried, *guests, *doubts])
        before = [*files, *looked]
        files = sorted(run(settle, _spanned(task.reading(before), "settled", of_images)))
        _delete(task, before)
    return tuple(files), float(counts.sum() / max(rows, 1)), int(counts.max())


def _assigned(
    run: Map, task: Task, space: SearchSpace, groups: SelectionGroups, what: str, few: Sequence[str] = ()
) -> tuple[list[str], Ints, int]:
    """Return the files of rows for buckets, how many visit each bucket, and how many images."""
    files = [f"{task.folder}/{what}-{i:05d}.parquet" for i in range(len(groups))]
    work = [
        replace(task.reading((space.pinned, *group), few=few), output=output)
        for group, output in zip(groups, files, strict=True)
    ]
    counts, images = np.zeros(len(space.centroids), np.int64), 0
    for visits, more in run(comparing(assign, pays=len(space.centroids) >= ASSIGNED), work):
        counts, images = counts + visits, images + more
    return files, counts, images


def _spanned(task: Task, what: str, edges: list[int]) -> list[Task]:
    """Return the pieces of a task, one for each span between two edges, with a file each."""
    return [
        replace(task, output=f"{task.folder}/{what}-{i:05d}.parquet", low=low, high=high)
        for i, (low, high) in enumerate(pairwise(edges))
    ]


def _delete(task: Task, names: Iterable[str]) -> None:
    """Delete files that nobody reads any more: of a large corpus they would fill a disk before the search ends."""
    for name in names:
        task.store.delete(name)
