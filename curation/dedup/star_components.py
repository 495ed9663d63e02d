"""The star rule over a table of edges, component by component: what a walk over everything gives, in parallel.

Whether an image is kept depends only on better images that it resembles, so on its own connected component. Images
without an edge are kept and never loaded. A batch of whole components is one piece of work; a giant one (a template
with a million copies) is a piece alone: linear in its edges, in 40 bytes each.
"""

from dataclasses import dataclass

import numpy as np

from curation.arrays import Array, Floats, Ints

EXACT_KIND = 0
"""Equal pixels. Other kinds follow in the order in which they give the reason."""


@dataclass(frozen=True)
class StarEdges:
    """Resemblances of a worse image to a better one, as columns; images are numbered in keep order, the best first."""

    worse: Ints
    better: Ints
    kind: Array
    score: Floats
    """Higher is more alike."""

    def take(self, rows: Array) -> "StarEdges":
        """Return some of the edges."""
        return StarEdges(self.worse[rows], self.better[rows], self.kind[rows], self.score[rows])


@dataclass(frozen=True)
class Drops:
    """Dropped images, ascending, each with the kept image that it resembles, and how."""

    item: Ints
    kept: Ints
    kind: Array
    score: Floats

    def take(self, rows: Array) -> "Drops":
        """Return some of them, or all in another order."""
        return Drops(self.item[rows], self.kept[rows], self.kind[rows], self.score[rows])


def star_rule(edges: StarEdges, barred: Ints | None = None) -> Drops:
    """Return the images that resemble a kept one; of whole components, any number of them, or of everything.

    The reason is the first kind that holds, within it the best score, then the better image. Exact edges lead from
    each member of a class to its best image, the leader, and only leaders have others; members inherit from a
    dropped leader what dropped it. An image that is barred may resemble a kept one, but is not kept itself.
    """
    exact = edges.kind == EXACT_KIND
    item, kept, reason = _walk(edges.take(~exact), barred)
    kind, score = edges.kind[~exact][reason], edges.score[~exact][reason]
    members, leaders = edges.worse[exact], edges.better[exact]
    place = np.searchsorted(item, leaders)
    place[place == len(item)] = 0
    inherits = (item[place] == leaders) if len(item) else np.zeros(len(leaders), dtype=bool)
    follows = ~inherits if barred is None else ~inherits & ~np.isin(leaders, barred)
    heirs = place[inherits]
    whole = Drops(
        np.concatenate([item, members[inherits], members[follows]]),
        np.concatenate([kept, kept[heirs], leaders[follows]]),
        np.concatenate([kind, kind[heirs], np.full(follows.sum(), EXACT_KIND, edges.kind.dtype)]),
        np.concatenate([score, score[heirs], np.zeros(follows.sum(), np.float32)]),
    )
    return whole.take(np.argsort(whole.item, kind="stable"))


def batches(labels: Ints, limit: int) -> tuple[Ints, Ints]:
    """Return a batch [n] for each edge, and the batches that are one giant component.

    `labels` [n] is the component of each edge. Components are packed in ascending order into batches of at most twice
    `limit` edges; one that alone holds more than `limit` is giant, and a batch of its own.
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    giant = counts > limit
    small = np.where(giant, 0, counts)
    batch = (np.cumsum(small) - 1).clip(0) // limit
    numbers = int(batch.max(initial=-1)) + 1 + np.arange(giant.sum())
    batch[giant] = numbers
    return batch[inverse], numbers


def _walk(edges: StarEdges, barred: Ints | None) -> tuple[Ints, Ints, Ints]:
    """Return the dropped items, ascending, the kept items that they resemble, and the edges that say so."""
    order = np.lexsort((edges.better, -edges.score, edges.kind, edges.worse))
    items, begins = np.unique(edges.worse[order], return_index=True)
    nodes = np.union1d(items, edges.better)
    kept = bytearray(b"\x01") * len(nodes)
    if barred is not None:
        for number in np.flatnonzero(np.isin(nodes, barred)).tolist():
            kept[number] = 0
    others = np.searchsorted(nodes, edges.better[order]).tolist()
    ends = np.append(begins, len(order))[1:].tolist()
    reasons: list[int] = []
    for number, begin, end in zip(np.searchsorted(nodes, items).tolist(), begins.tolist(), ends, strict=True):
        for row in range(begin, end):
            if kept[others[row]]:
                kept[number] = 0
                reasons.append(row)
                break
    reason = order[np.array(reasons, dtype=np.int64)]
    return edges.worse[reason], edges.better[reason], reason
