"""Which pairs are worth a geometric comparison: each image with its nearest better ones, and evaluation images.

Copies by bytes, pixels or hash are collapsed first: a picture with 300,000 copies would otherwise have no other
neighbours. A copy is looked at only where the image that it copies may itself be dropped, for then the copy
stands for itself.
"""

import hashlib
import heapq
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from curation.dedup.comparable import Corpus, compared_images
from curation.dedup.duplicates import classes, keep_order
from curation.dedup.knn_pairs import BLOCK, Pairs, View, merged
from curation.dedup.resemblance import HashResemblance
from curation.dedup.star_rule import Ints, Match, walk
from curation.embedders.descriptor import DescriptorEmbedder
from curation.params.copies import DedupParams
from shared.catalog import CANDIDATES, WHERE
from shared.stage_runner.exchange import spans
from shared.tables import Rows, with_facts

PART_PAIRS = 2500
"""Pairs in a part, at most on average: some half a minute of comparing."""


def pair_tables(
    corpus: tuple[Rows, Rows, Rows], references: tuple[Rows, Rows], params: DedupParams
) -> Iterator[pa.Table]:
    """Yield parts of CANDIDATES; none where embeddings are not compared, or their cosine alone decides."""
    near = params.near
    if not near.enabled or near.verify == "none":
        return
    images = compared_images(*corpus, params)
    sets = compared_images(*references, None, params)
    views = [View.of(images, "vector", near.embedder, near.candidate_cosine, near.nearest)]
    if near.layout:
        descriptor = DescriptorEmbedder()
        views.append(View.of(images, "layout", descriptor, descriptor.candidate_cosine, near.nearest))
    order = keep_order(images.compared)
    leads = order[classes(images.compared, order)[order] == order]
    touching = merged([view.references(leads, sets) for view in views] if len(sets.compared) else [])
    better = _with_better(images, views, order, leads, touching.item, params)
    table = pa.concat_tables([_table(images, images, better, None), _table(images, sets, touching, "source")])
    cells = _cells(images, views[0], np.concatenate([better.item, touching.item]))
    # On a part of its own: among the pairs, a recall that changed would rename them, and compare them again.
    yield with_facts(table.slice(0, 0), {"recall": {view.column: round(view.index.recall(), 4) for view in views}})
    yield from _parts(table, cells)


def _with_better(
    images: Corpus, views: list[View], order: Ints, leads: Ints, doubtful: Ints, params: DedupParams
) -> Pairs:
    """Return each image with its nearest better ones; `doubtful` may turn out to be contaminated."""
    copies = _hash_copies(images, leads, params)
    alone = np.array([item for item in leads.tolist() if item not in copies], dtype=np.int64)
    found = _neighbours(views, alone).directed(order)
    droppable = {*doubtful.tolist(), *found.item.tolist()}
    freed = {item: match.kept for item, match in copies.items() if match.kept in droppable}
    nearest = _neighbours(views, np.array(list(freed), dtype=np.int64)).directed(order)
    return merged([found, nearest, _inherited(freed, found).directed(order)])


def _inherited(freed: dict[int, int], found: Pairs) -> Pairs:
    """Pair each copy with what the image that it copies is paired with: a copy of one is likely a copy of the other."""
    starts, ends = (np.searchsorted(found.item, list(freed.values()), side) for side in ("left", "right"))
    rows = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
    items = [np.full(len(mine), item, dtype=np.int64) for item, mine in zip(freed, rows, strict=True)]
    return Pairs.of(items, [found.other[mine] for mine in rows], [found.cosine[mine] for mine in rows])


def _neighbours(views: list[View], items: Ints) -> Pairs:
    for view in views:
        view.add(items)
    return merged([view.neighbours(items) for view in views])


def _hash_copies(images: Corpus, leads: Ints, params: DedupParams) -> dict[int, Match]:
    if not params.perceptual.enabled:
        return {}
    c = images.compared
    return walk(leads, [HashResemblance(c.hashes, params.perceptual.distance, c.trusted)])


def _table(images: Corpus, others: Corpus, pairs: Pairs, set_column: str | None) -> pa.Table:
    columns = {name: images.column(name).take(pairs.item) for name in WHERE}
    columns |= {f"other_{name}": others.column(name).take(pairs.other) for name in WHERE}
    sets = others.column(set_column).take(pairs.other) if set_column else pa.nulls(len(pairs.item), pa.string())
    table = pa.table({**columns, "set": sets.cast(pa.string()), "cosine": pairs.cosine})
    return table.select(CANDIDATES.schema.names).cast(CANDIDATES.schema)


def _cells(images: Corpus, view: View, items: Ints) -> Ints:
    """Return, for each item, the nearest of a few images with the smallest ids, as many as there will be parts.

    Neighbours then meet in one part, where each is described once, not once for each pair. Ids are digests, so
    these few are drawn by chance, and images that are added seldom change them.
    """
    count = len(list(spans(len(items), PART_PAIRS)))
    few = heapq.nsmallest(count, np.flatnonzero(view.comparable).tolist(), key=images.compared.image_id.__getitem__)
    vectors = view.index.vectors
    cells = [(vectors[items[i : i + BLOCK]] @ vectors[few].T).argmax(axis=1) for i in range(0, len(items), BLOCK)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *cells])


def _parts(table: pa.Table, cells: Ints) -> Iterator[pa.Table]:
    """Cut by cell, and cells that are too large by a digest of the uri: added images rename only their own parts."""
    for cell in np.unique(cells):
        inside = table.filter(pa.array(cells == cell))
        slots = np.array([_slot(uri) for uri in inside["uri"].to_pylist()], dtype=np.int64)
        for low, high in spans(inside.num_rows, PART_PAIRS):
            part = inside.filter(pa.array((slots >= low) & (slots < high)))
            if part.num_rows:
                yield part.unify_dictionaries().sort_by([("uri", "ascending"), ("other_uri", "ascending")])


def _slot(uri: str) -> int:
    return int.from_bytes(hashlib.blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=4).digest(), "big")
