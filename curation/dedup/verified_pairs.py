"""Which verified pairs count as copies under a recipe: by score, by verdict, by orientation."""

import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup.geometry.compare import Comparison
from curation.dedup.geometry.verdicts import MIRRORED, SAME_SCENE, UPRIGHT
from curation.params.copies import DedupParams
from shared.catalog import VERIFIED
from shared.tables import Rows

ALLOWED = {"none": [UPRIGHT], "mirrored": [UPRIGHT, MIRRORED]}
SURE = 1.0
"""Below this score nobody looked at what differs: there a recipe's lower threshold decides alone."""


def counts(comparison: Comparison, params: DedupParams, limit: float) -> bool:
    """Return whether a comparison makes two images copies under a recipe, from a score of `limit` on."""
    verdicts = ("copy", SAME_SCENE) if params.near.same_scene == "drop" else ("copy",)
    judged = comparison.verdict in verdicts or comparison.score < SURE
    allowed = ALLOWED.get(params.orientations)
    return comparison.score >= limit and judged and (allowed is None or comparison.orientation in allowed)


def copies(verified: Rows, params: DedupParams, limit: float) -> pa.Table:
    """Return the rows of VERIFIED with two images that are copies, from a score of `limit` on."""
    names = VERIFIED.schema.names
    pieces = [VERIFIED.schema.empty_table(), *(_copies(pairs, params, limit) for pairs in verified.tables(names))]
    return pa.concat_tables(pieces).unify_dictionaries().combine_chunks()


def _copies(pairs: pa.Table, params: DedupParams, limit: float) -> pa.Table:
    columns = (pairs[name].to_pylist() for name in Comparison._fields)
    alike = [counts(Comparison(*row), params, limit) for row in zip(*columns, strict=True)]
    by_hash = pc.is_valid(pairs["distance"])
    embeddings = params.near.enabled and params.near.verify == "geometric"
    proposed = pc.if_else(by_hash, params.perceptual.enabled, embeddings)
    return pairs.filter(pc.and_(pa.array(alike, pa.bool_()), proposed))
