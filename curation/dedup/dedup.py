"""Between the tables and the algorithms of deduplication: picks the images, and writes the matches."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools
from curation.dedup.comparable_images import ComparableImages, comparable_images
from curation.dedup.exact_classes import EXACT, find_duplicates
from curation.dedup.resemblance import HashResemblance, PairResemblance, VectorResemblance
from curation.dedup.star_rule import Match, Resemblance
from curation.dedup.vector_index import VectorIndex
from curation.params.copies import DedupParams
from shared.catalog import CONTAMINATED, DUPLICATES, VERIFIED
from shared.tables import Rows, with_facts


def match_tables(corpus: tuple[Rows, Rows, Rows], verified: Rows, contaminated: Rows, params: DedupParams) -> pa.Table:
    """Return DUPLICATES: only decodable images that pass the quality rules are compared, or kept for a copy."""
    images = comparable_images(*corpus, params)
    resemblances: list[Resemblance] = []
    if params.perceptual.enabled:
        hashes = HashResemblance(images.columns.hashes, params.perceptual.distance, images.columns.trusted)
        resemblances.append(hashes)
    facts: dict[str, float | int] = {"compared": len(images.columns)}
    near = _near(images, verified, params)
    if near is not None:
        resemblances.append(near)
    matches = find_duplicates(images.columns, resemblances, _barred(images, contaminated))
    if isinstance(near, VectorResemblance):
        facts["near_recall"] = round(near.index.recall(), 4)
    return with_facts(_table(matches, images, params), facts)


def _near(images: ComparableImages, verified: Rows, params: DedupParams) -> PairResemblance | VectorResemblance | None:
    near = params.near
    if not near.enabled:
        return None
    if near.verify == "geometric":
        return PairResemblance(_copies(images, verified, near.limit))
    vectors = images.vectors()
    trusted = images.columns.trusted & vectors.any(axis=1)
    return VectorResemblance(VectorIndex(vectors, near.embedder.orientations()), near.limit, trusted)


def _copies(images: ComparableImages, verified: Rows, limit: float) -> dict[int, dict[int, float]]:
    """Return, for each image, the better ones that it is a copy of, with the score."""
    pairs = verified.table(VERIFIED, ["uri", "other_uri", "set", "score"])
    pairs = pairs.filter(pc.and_(pc.is_null(pairs["set"]), pc.greater_equal(pairs["score"], limit)))
    uris = pa.array(images.columns.uri, pa.string())
    item, other = (pc.index_in(pairs[name], value_set=uris).to_pylist() for name in ("uri", "other_uri"))
    copies: dict[int, dict[int, float]] = {}
    for one, another, score in zip(item, other, pairs["score"].to_pylist(), strict=True):
        if one is not None and another is not None:
            copies.setdefault(one, {})[another] = score
    return copies


def _barred(images: ComparableImages, contaminated: Rows) -> Bools:
    """Return which images resemble one of an evaluation set, and so can stand for no other."""
    rows = contaminated.table(CONTAMINATED, ["part", "row"])
    barred = np.zeros(len(images.columns), dtype=bool)
    barred[np.searchsorted(images.rows, images.images.numbers(rows))] = True
    return barred


def _table(matches: dict[int, Match], images: ComparableImages, params: DedupParams) -> pa.Table:
    items = np.array(sorted(matches), dtype=np.int64)
    dropped = [matches[int(item)] for item in items]
    limits = {"perceptual_duplicate": params.perceptual.distance, "near_duplicate": params.near.limit, EXACT: 0.0}
    placed, uris = images.places().take(items), pa.array(images.columns.uri, pa.string())
    return pa.table(
        {
            "part": placed["part"],
            "row": placed["row"],
            "reason": pa.array([match.reason for match in dropped], pa.string()).dictionary_encode(),
            # A Hamming distance walks as its negative, so that higher is more alike; it is written as it is.
            "value": pa.array([abs(match.score) for match in dropped], pa.float32()),
            "threshold": pa.array([limits[match.reason] for match in dropped], pa.float32()),
            "kept_uri": uris.take(pa.array([match.kept for match in dropped], pa.int64())),
        },
        schema=DUPLICATES.schema,
    )
