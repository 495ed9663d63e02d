"""Between the tables and the algorithms of deduplication: picks the images, and writes the matches."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools, Floats, Ints
from curation.dedup.comparable_images import ComparableImages, comparable_images
from curation.dedup.exact_classes import EXACT, exact_classes, find_duplicates
from curation.dedup.keep_order import keep_order, merits_of
from curation.dedup.near_search import refuse_low_recall
from curation.dedup.resemblance import NEAR, PERCEPTUAL, PairResemblance, VectorResemblance
from curation.dedup.star_batches import drops_of
from curation.dedup.star_components import EXACT_KIND, Drops, StarEdges
from curation.dedup.star_rule import Match
from curation.dedup.vector_index import VectorIndex
from curation.dedup.verified_pairs import copies
from curation.params.copies import DedupParams
from shared.catalog import CONTAMINATED, DUPLICATES
from shared.stage_runner import Rounds
from shared.tables import Rows, with_facts

REASONS = (EXACT, PERCEPTUAL, NEAR)
"""By kind of edge, in the order in which they give the reason."""
WALKS = 3
"""So often images are walked over by cosine, each time with a wider search, before the recall is told as it is."""


def match_tables(
    corpus: tuple[Rows, Rows, Rows], verified: Rows, contaminated: Rows, params: DedupParams, rounds: Rounds
) -> pa.Table:
    """Return DUPLICATES: only decodable images that pass the quality rules are compared, or kept for a copy.

    A pair that hashes proposed is a perceptual duplicate, one that only embeddings did a near duplicate. Raises
    WorkFailedError where the cosine alone decides, the recall that was asked for is not reached, and the recipe says to
    fail then.
    """
    order = keep_order(merits_of(corpus, params))
    images = comparable_images(*corpus, params)
    leader = exact_classes(images.pixels_id, order)
    pairs = _copies(images, verified, params)
    barred = _barred(images, contaminated)
    facts: dict[str, Any] = {"compared": len(images)}
    if params.near.enabled and params.near.verify == "none":
        drops, more = _by_cosine(images, order, leader, pairs, barred, params)
    else:
        drops, more = _by_edges(order, leader, pairs, barred, rounds)
    return with_facts(_table(drops, images, leader, pairs, params), facts | more)


def _copies(images: ComparableImages, verified: Rows, params: DedupParams) -> pa.Table:
    """Return the copies among the images: item, other, kind, score, and what lays the one over the other."""
    pairs = copies(verified, params, params.copy_score)
    pairs = pairs.filter(pc.is_null(pairs["set"]))
    ends = images.items_of(pa.chunked_array([*pairs["uri"].chunks, *pairs["other_uri"].chunks], pa.string()))
    items, others = ends.slice(0, len(pairs)), ends.slice(len(pairs))
    kinds = pc.if_else(pc.is_valid(pairs["distance"]), REASONS.index(PERCEPTUAL), REASONS.index(NEAR))
    columns = {"item": items, "other": others, "kind": kinds, "score": pairs["score"]}
    table = pa.table(columns | {"orientation": pairs["orientation"].cast(pa.string())})
    return table.filter(pc.and_(pc.is_valid(items), pc.is_valid(others))).combine_chunks()


def _by_edges(
    order: Ints, leader: Ints, pairs: pa.Table, barred: Bools, rounds: Rounds
) -> tuple[Drops, dict[str, Any]]:
    """Apply the star rule to the edges between images that are numbered in keep order."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    members = np.flatnonzero(leader != np.arange(len(leader)))
    items, others = (
        np.concatenate([_ints(pairs[n]), more]) for n, more in (("item", members), ("other", leader[members]))
    )
    ends = np.sort(np.stack([rank[items], rank[others]]), axis=0)
    kinds = np.concatenate([_ints(pairs["kind"]), np.full(len(members), EXACT_KIND)]).astype(np.int8)
    scores: Floats = np.concatenate([pairs["score"].to_numpy(), np.zeros(len(members))]).astype(np.float32)
    drops, facts = drops_of(StarEdges(ends[1], ends[0], kinds, scores), rank[barred], rounds)
    item, kept = order[drops.item], order[drops.kept]
    return Drops(item, kept, drops.kind, drops.score).take(np.argsort(item)), facts


def _by_cosine(
    images: ComparableImages, order: Ints, leader: Ints, pairs: pa.Table, barred: Bools, params: DedupParams
) -> tuple[Drops, dict[str, Any]]:
    """Walk over everything: where the cosine alone decides, nobody named the pairs before."""
    vectors = images.vectors()
    trusted = images.trusted & vectors.any(axis=1)
    index = VectorIndex(vectors, params.near.embedder.orientations())
    cosine = VectorResemblance(index, params.near.limit, trusted)
    by_hash: dict[int, dict[int, float]] = {}
    for row in pairs.to_pylist():
        by_hash.setdefault(row["item"], {})[row["other"]] = row["score"]

    def walked() -> dict[int, Match]:
        index.clear()
        return find_duplicates(order, leader, [PairResemblance(PERCEPTUAL, by_hash), cosine], barred)

    matches, asked = walked(), params.near.candidates.recall
    for _ in range(WALKS - 1):
        if not index.widen(asked):
            break
        matches = walked()
    recall = index.recall()
    facts = {"recall": round(recall, 4), "asked": asked, "reached": recall >= asked, "visits": float(index.probes)}
    refuse_low_recall({"vector": facts}, params.near.candidates.below_recall)
    items = np.array(sorted(matches), dtype=np.int64)
    rows = [matches[item] for item in items.tolist()]
    kept = np.array([row.kept for row in rows], dtype=np.int64)
    kinds = np.array([REASONS.index(row.reason) for row in rows], dtype=np.int8)
    scores = np.array([row.score for row in rows], dtype=np.float32)
    return Drops(items, kept, kinds, scores), {"searched": {"vector": facts}}


def _barred(images: ComparableImages, contaminated: Rows) -> Bools:
    """Return which images resemble one of an evaluation set, and so can stand for no other."""
    rows = contaminated.table(CONTAMINATED, ["part", "row"])
    barred = np.zeros(len(images), dtype=bool)
    barred[np.searchsorted(images.rows, images.images.numbers(rows))] = True
    return barred


def _table(drops: Drops, images: ComparableImages, leader: Ints, pairs: pa.Table, params: DedupParams) -> pa.Table:
    limits = {EXACT: 0.0, PERCEPTUAL: params.copy_score, NEAR: params.near.limit}
    placed = images.places(drops.item)
    words = pa.array(REASONS).take(pa.array(drops.kind, pa.int64()))
    # A member of an exact class is dropped for what its leader resembles, and turned as that one is.
    leaders, count = leader[drops.item], len(images)
    sides = pa.array(_ints(pairs["item"]) * count + _ints(pairs["other"]))
    turns = pairs["orientation"].take(pc.index_in(pa.array(leaders * count + drops.kept), value_set=sides))
    return pa.table(
        {
            "part": placed["part"],
            "row": placed["row"],
            "reason": words.dictionary_encode(),
            "value": pa.array(drops.score, pa.float32()),
            "threshold": pa.array([limits[REASONS[kind]] for kind in drops.kind.tolist()], pa.float32()),
            "kept_uri": images.column("uri", drops.kept),
            "orientation": turns.dictionary_encode(),
        },
    ).cast(DUPLICATES.schema)


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.to_numpy(), dtype=np.int64)
