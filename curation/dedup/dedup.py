"""Between the tables and the algorithms of deduplication: picks the images, and writes the matches."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools
from curation.dedup.comparable_images import ComparableImages, comparable_images
from curation.dedup.exact_classes import EXACT, find_duplicates
from curation.dedup.resemblance import NEAR, PERCEPTUAL, PairResemblance, VectorResemblance
from curation.dedup.star_rule import Match, Resemblance
from curation.dedup.vector_index import VectorIndex
from curation.dedup.verified_pairs import copies
from curation.params.copies import DedupParams
from shared.catalog import CONTAMINATED, DUPLICATES
from shared.tables import Rows, with_facts

OrientationOf = dict[tuple[int, int], str]
"""What lays one item over another."""


def match_tables(corpus: tuple[Rows, Rows, Rows], verified: Rows, contaminated: Rows, params: DedupParams) -> pa.Table:
    """Return DUPLICATES: only decodable images that pass the quality rules are compared, or kept for a copy.

    A pair that hashes proposed is a perceptual duplicate, one that only embeddings did a near duplicate.
    """
    images = comparable_images(*corpus, params)
    by_hash, by_embedding, orientations = _copies(images, verified, params)
    resemblances: list[Resemblance] = [PairResemblance(PERCEPTUAL, by_hash), PairResemblance(NEAR, by_embedding)]
    facts: dict[str, float | int] = {"compared": len(images.columns)}
    cosine = _by_cosine(images, params)
    if cosine is not None:
        resemblances.append(cosine)
    matches = find_duplicates(images.columns, resemblances, _barred(images, contaminated))
    if cosine is not None:
        facts["near_recall"] = round(cosine.index.recall(), 4)
    return with_facts(_table(matches, images, orientations, params), facts)


def _by_cosine(images: ComparableImages, params: DedupParams) -> VectorResemblance | None:
    near = params.near
    if not near.enabled or near.verify == "geometric":
        return None
    vectors = images.vectors()
    trusted = images.columns.trusted & vectors.any(axis=1)
    return VectorResemblance(VectorIndex(vectors, near.embedder.orientations()), near.limit, trusted)


Scores = dict[int, dict[int, float]]
"""For each image, the better ones that it is a copy of."""


def _copies(images: ComparableImages, verified: Rows, params: DedupParams) -> tuple[Scores, Scores, OrientationOf]:
    """Return the copies that hashes proposed, those that only embeddings did, and what lays each over the better."""
    pairs = copies(verified, params, params.copy_score)
    pairs = pairs.filter(pc.is_null(pairs["set"]))
    uris = pa.array(images.columns.uri, pa.string())
    items, others = (pc.index_in(pairs[name], value_set=uris).to_pylist() for name in ("uri", "other_uri"))
    columns = (pairs[name].to_pylist() for name in ("distance", "score", "orientation"))
    scores: tuple[Scores, Scores] = {}, {}
    orientations: OrientationOf = {}
    for item, other, distance, score, orientation in zip(items, others, *columns, strict=True):
        if item is not None and other is not None:
            scores[distance is None].setdefault(item, {})[other] = score
            orientations[item, other] = orientation
    return *scores, orientations


def _barred(images: ComparableImages, contaminated: Rows) -> Bools:
    """Return which images resemble one of an evaluation set, and so can stand for no other."""
    rows = contaminated.table(CONTAMINATED, ["part", "row"])
    barred = np.zeros(len(images.columns), dtype=bool)
    barred[np.searchsorted(images.rows, images.images.numbers(rows))] = True
    return barred


def _table(
    matches: dict[int, Match], images: ComparableImages, orientations: OrientationOf, params: DedupParams
) -> pa.Table:
    items = np.array(sorted(matches), dtype=np.int64)
    dropped = [matches[int(item)] for item in items]
    limits = {PERCEPTUAL: params.copy_score, NEAR: params.near.limit, EXACT: 0.0}
    placed, uris = images.places().take(items), pa.array(images.columns.uri, pa.string())
    # A member of an exact class is dropped for what its leader resembles, and turned as that one is.
    turns = [orientations.get((match.item, match.kept)) for match in dropped]
    return pa.table(
        {
            "part": placed["part"],
            "row": placed["row"],
            "reason": pa.array([match.reason for match in dropped], pa.string()).dictionary_encode(),
            "value": pa.array([match.score for match in dropped], pa.float32()),
            "threshold": pa.array([limits[match.reason] for match in dropped], pa.float32()),
            "kept_uri": uris.take(pa.array([match.kept for match in dropped], pa.int64())),
            "orientation": pa.array(turns, pa.string()).dictionary_encode(),
        },
        schema=DUPLICATES.schema,
    )
