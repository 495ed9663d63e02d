"""Which pairs are worth a geometric comparison: each image with its nearest better ones, and evaluation images.

Copies by bytes, pixels or hash are collapsed first: a picture with 300,000 copies would otherwise have no other
neighbours. A copy is looked at only where the image that it copies may itself be dropped, for then the copy
stands for itself.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.comparing import Corpus, compared_images
from curation.dedup import classes, keep_order
from curation.near import NOTHING, VectorIndex
from curation.params import DedupParams
from curation.perceptual import HashResemblance
from curation.star import Floats, Ints, Mask, Match, walk
from shared.contracts import CANDIDATES, WHERE
from shared.exchange import spans
from shared.tables import Rows, with_facts

PART_PAIRS = 1000
"""Pairs in a part, at most on average: some ten seconds of comparing."""
BLOCK = 4096


def pair_tables(
    corpus: tuple[Rows, Rows, Rows], references: tuple[Rows, Rows], params: DedupParams
) -> Iterator[pa.Table]:
    """Yield parts of CANDIDATES; none where embeddings are not compared, or their cosine alone decides."""
    if not params.near.enabled or params.near.verify == "none":
        return
    images = compared_images(*corpus, params.min_detail)
    sets = compared_images(*references, None, params.min_detail)
    order = keep_order(images.compared)
    leads = order[classes(images.compared, order)[order] == order]
    vectors = images.vectors()
    index = VectorIndex(vectors, params.near.embedder.orientations())
    comparable = images.compared.trusted & vectors.any(axis=1)
    contaminating = _with_references(vectors, leads[comparable[leads]], sets, params)
    pairs = _with_better(images, index, order, leads, comparable, set(contaminating.item.tolist()), params)
    table = pa.concat_tables([_table(images, images, pairs, None), _table(images, sets, contaminating, "source")])
    # On a part of its own: among the pairs, a recall that changed would rename them, and compare them again.
    yield with_facts(table.slice(0, 0), {"recall": round(index.recall(), 4)})
    yield from _parts(table)


@dataclass(frozen=True)
class Pairs:
    """Pairs of item and other, with their cosines."""

    item: Ints
    other: Ints
    cosine: Floats


def _with_better(
    images: Corpus,
    index: VectorIndex,
    order: Ints,
    leads: Ints,
    comparable: Mask,
    doubtful: set[int],
    params: DedupParams,
) -> Pairs:
    """Return each image with its nearest better ones; `doubtful` may turn out to be contaminated."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    copies = _hash_copies(images, leads, params)
    alone = np.array([item for item in leads.tolist() if item not in copies and comparable[item]], dtype=np.int64)
    index.add(np.sort(alone))
    found = _nearest(index, alone, rank, params)
    droppable = doubtful | {item for item, _ in found}
    freed = [item for item, match in copies.items() if match.kept in droppable and comparable[item]]
    index.add(np.array(sorted(freed), dtype=np.int64))
    return _pairs(found | _nearest(index, np.array(sorted(freed), dtype=np.int64), rank, params))


def _hash_copies(images: Corpus, leads: Ints, params: DedupParams) -> dict[int, Match]:
    if not params.perceptual.enabled:
        return {}
    c = images.compared
    return walk(leads, [HashResemblance(c.hashes, params.perceptual.distance, c.trusted)])


def _nearest(index: VectorIndex, items: Ints, rank: Ints, params: DedupParams) -> dict[tuple[int, int], float]:
    """Return each item's nearest others with their cosines, the worse of the two in keep order first."""
    near = params.near
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(items), BLOCK):
        block = items[start : start + BLOCK]
        cosines, others = index.nearest(index.vectors[block], near.candidates.nearest + 1)
        close = (cosines >= near.candidate_cosine) & (others != NOTHING) & (others != block[:, None])
        for row, column in np.argwhere(close).tolist():
            one, other = int(block[row]), int(others[row, column])
            pair = (one, other) if rank[one] > rank[other] else (other, one)
            found[pair] = max(found.get(pair, -1.0), float(cosines[row, column]))
    return found


def _with_references(vectors: Floats, items: Ints, sets: Corpus, params: DedupParams) -> Pairs:
    """Return each image of the corpus with its nearest evaluation images."""
    found: dict[tuple[int, int], float] = {}
    if len(sets.compared):
        near, known = params.near, sets.vectors()
        index = VectorIndex(known, near.embedder.orientations())
        index.add(np.flatnonzero(sets.compared.trusted & known.any(axis=1)).astype(np.int64))
        for start in range(0, len(items), BLOCK):
            block = items[start : start + BLOCK]
            cosines, others = index.nearest(vectors[block], near.candidates.nearest)
            for row, column in np.argwhere((cosines >= near.candidate_cosine) & (others != NOTHING)).tolist():
                found[int(block[row]), int(others[row, column])] = float(cosines[row, column])
    return _pairs(found)


def _pairs(found: dict[tuple[int, int], float]) -> Pairs:
    items = np.array(list(found), dtype=np.int64).reshape(-1, 2)
    return Pairs(items[:, 0], items[:, 1], np.array(list(found.values()), dtype=np.float32))


def _table(images: Corpus, others: Corpus, pairs: Pairs, set_column: str | None) -> pa.Table:
    columns = {name: images.column(name).take(pairs.item) for name in WHERE}
    columns |= {f"other_{name}": others.column(name).take(pairs.other) for name in WHERE}
    sets = others.column(set_column).take(pairs.other) if set_column else pa.nulls(len(pairs.item), pa.string())
    table = pa.table({**columns, "set": sets.cast(pa.string()), "cosine": pairs.cosine})
    return table.select(CANDIDATES.schema.names).cast(CANDIDATES.schema)


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    """Cut by a digest of the uri, into a power of two of parts: added images rename only the parts they fall into."""
    digests = [
        hashlib.blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=4) for uri in table["uri"].to_pylist()
    ]
    slots = np.array([int.from_bytes(digest.digest(), "big") for digest in digests], dtype=np.int64)
    for low, high in spans(table.num_rows, PART_PAIRS):
        part = table.filter(pa.array((slots >= low) & (slots < high)))
        if part.num_rows:
            yield part.unify_dictionaries().sort_by([("uri", "ascending"), ("other_uri", "ascending")])


def _slot(uri: str) -> int:
    return int.from_bytes(hashlib.blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=4).digest(), "big")
