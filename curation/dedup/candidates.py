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

from curation.arrays import Ints
from curation.dedup.comparable_images import ComparableImages, comparable_images
from curation.dedup.exact_classes import exact_classes, keep_order
from curation.dedup.knn_pairs import BLOCK, EmbeddingSearch, NeighbourPairs, merged
from curation.dedup.resemblance import HashResemblance
from curation.dedup.star_rule import Match, walk
from curation.embedders.descriptor import DescriptorEmbedder
from curation.params.copies import DedupParams
from shared.catalog import CANDIDATES, WHERE
from shared.stage_runner.exchange import spans
from shared.tables import Rows, with_facts

PART_PAIRS = 2500
"""NeighbourPairs in a part, at most on average: some half a minute of comparing."""


def pair_tables(
    corpus: tuple[Rows, Rows, Rows], references: tuple[Rows, Rows], params: DedupParams
) -> Iterator[pa.Table]:
    """Yield parts of CANDIDATES; none where embeddings are not compared, or their cosine alone decides."""
    near = params.near
    if not near.enabled or near.verify == "none":
        return
    images = comparable_images(*corpus, params)
    sets = comparable_images(*references, None, params)
    searches = [EmbeddingSearch.of(images, "vector", near.embedder, near.candidate_cosine, near.nearest)]
    if near.layout:
        descriptor = DescriptorEmbedder()
        searches.append(EmbeddingSearch.of(images, "layout", descriptor, descriptor.candidate_cosine, near.nearest))
    order = keep_order(images.columns)
    leads = order[exact_classes(images.columns, order)[order] == order]
    touching = merged([search.references(leads, sets) for search in searches] if len(sets.columns) else [])
    better = _with_better(images, searches, order, leads, touching.item, params)
    table = pa.concat_tables([_table(images, images, better, None), _table(images, sets, touching, "source")])
    cells = _cells(images, searches[0], np.concatenate([better.item, touching.item]))
    # On a part of its own: among the pairs, a recall that changed would rename them, and compare them again.
    yield with_facts(
        table.slice(0, 0), {"recall": {search.column: round(search.index.recall(), 4) for search in searches}}
    )
    yield from _parts(table, cells)


def _with_better(
    images: ComparableImages,
    searches: list[EmbeddingSearch],
    order: Ints,
    leads: Ints,
    doubtful: Ints,
    params: DedupParams,
) -> NeighbourPairs:
    """Return each image with its nearest better ones; `doubtful` may turn out to be contaminated."""
    copies = _hash_copies(images, leads, params)
    alone = np.array([item for item in leads.tolist() if item not in copies], dtype=np.int64)
    of_originals = _neighbours(searches, alone).directed(order)
    droppable = {*doubtful.tolist(), *of_originals.item.tolist()}
    freed = {item: match.kept for item, match in copies.items() if match.kept in droppable}
    of_copies = _neighbours(searches, np.array(list(freed), dtype=np.int64)).directed(order)
    return merged([of_originals, of_copies, _inherited(freed, of_originals).directed(order)])


def _inherited(freed: dict[int, int], of_originals: NeighbourPairs) -> NeighbourPairs:
    """Pair each copy with what the image that it copies is paired with: a copy of one is likely a copy of the other."""
    starts, ends = (np.searchsorted(of_originals.item, list(freed.values()), side) for side in ("left", "right"))
    rows = np.concatenate([np.arange(0), *map(np.arange, starts, ends)])
    items = np.repeat(np.array(list(freed), dtype=np.int64), ends - starts)
    return NeighbourPairs.of([items], [of_originals.other[rows]], [of_originals.cosine[rows]])


def _neighbours(searches: list[EmbeddingSearch], items: Ints) -> NeighbourPairs:
    for search in searches:
        search.add(items)
    return merged([search.neighbours(items) for search in searches])


def _hash_copies(images: ComparableImages, leads: Ints, params: DedupParams) -> dict[int, Match]:
    if not params.perceptual.enabled:
        return {}
    columns = images.columns
    return walk(leads, [HashResemblance(columns.hashes, params.perceptual.distance, columns.trusted)])


def _table(
    images: ComparableImages, others: ComparableImages, pairs: NeighbourPairs, set_column: str | None
) -> pa.Table:
    columns = {name: images.column(name).take(pairs.item) for name in WHERE}
    columns |= {f"other_{name}": others.column(name).take(pairs.other) for name in WHERE}
    sets = others.column(set_column).take(pairs.other) if set_column else pa.nulls(len(pairs.item), pa.string())
    table = pa.table({**columns, "set": sets.cast(pa.string()), "cosine": pairs.cosine})
    return table.select(CANDIDATES.schema.names).cast(CANDIDATES.schema)


def _cells(images: ComparableImages, search: EmbeddingSearch, items: Ints) -> Ints:
    """Return, for each item, the nearest of a few images with the smallest ids, as many as there will be parts.

    Neighbours then meet in one part, where each is described once, not once for each pair. Ids are digests, so
    these few are drawn by chance, and images that are added seldom change them.
    """
    count = len(list(spans(len(items), PART_PAIRS)))
    few = heapq.nsmallest(count, np.flatnonzero(search.comparable).tolist(), key=images.columns.image_id.__getitem__)
    vectors = search.index.vectors
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
