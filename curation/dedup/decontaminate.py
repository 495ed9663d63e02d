"""Which images of the corpus resemble one of an evaluation set: by equal pixels, by verified pairs, or by cosine.

The corpus loses. A similarity has one direction, more is more alike: 1 for equal pixels, the geometric score, or the
cosine.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Ints
from curation.dedup.comparable_images import ComparableImages, comparable_images
from curation.dedup.comparable_parts import comparable_parts
from curation.dedup.exact_classes import exact_classes
from curation.dedup.readable_sets import unreadable_images
from curation.dedup.vector_index import VectorIndex
from curation.dedup.verified_pairs import copies
from curation.params.copies import DecontaminateParams, EvaluationSet
from shared.catalog import CONTAMINATED
from shared.errors import WorkFailedError
from shared.tables import Rows, with_facts

BLOCK = 4096


@dataclass(frozen=True)
class Contamination:
    """Why an image is contaminated."""

    value: float
    threshold: float
    other: str
    """The evaluation image."""
    set: str
    orientation: str | None = None
    """What lays the image over it; None where nothing was laid over it."""


def contaminated_tables(
    corpus: tuple[Rows, Rows, Rows], references: tuple[Rows, Rows], verified: Rows, params: DecontaminateParams
) -> pa.Table:
    """Return CONTAMINATED.

    Raises WorkFailedError for a set of which nothing can be read, or that would take more of the corpus than its cap.
    """
    unreadable = unreadable_images(*references, params.sets)
    others = comparable_images(*references, None, params.dedup)
    sets = others.column("source", np.arange(len(others))).cast(pa.string()).to_numpy()
    near = params.dedup.near
    images = comparable_images(*corpus, params.dedup) if near.enabled and near.verify == "none" else None
    by_pairs = {one.name: _verified(verified, one, params) for one in params.sets}
    pixels_of = _pixels_of(corpus, pa.array([uri for pairs in by_pairs.values() for uri, _ in pairs], pa.string()))
    evidence: dict[str, dict[bytes, Contamination]] = {}
    for one in params.sets:
        members = np.flatnonzero(sets == one.name).astype(np.int64)
        found = _by_cosine(images, others, members, one, params) if images is not None else {}
        found |= {pixels_of[uri]: why for uri, why in by_pairs[one.name] if uri in pixels_of}
        evidence[one.name] = found | _by_pixels(others, members, one.name)
    rows, pixels, compared = _touched(corpus, [*{digest: None for found in evidence.values() for digest in found}])
    for one in params.sets:
        _refuse_above_cap(one, sum(digest in evidence[one.name] for digest in pixels), compared)
    first = dict[bytes, Contamination]()  # of several sets, the first that the recipe names
    for found in evidence.values():
        first = found | first
    contaminated = [first[digest] for digest in pixels]
    counts = {one.name: sum(item.set == one.name for item in contaminated) for one in params.sets}
    table = _table(corpus[0].places(rows), contaminated)
    return with_facts(table, {"contaminated": counts, "unreadable": unreadable})


def _touched(corpus: tuple[Rows, Rows, Rows], digests: list[bytes]) -> tuple[Ints, list[bytes], int]:
    """Return the numbers [n] of the images whose pixels have these digests, the digest of each, and how many are left.

    So every member of an exact class is contaminated, and only a part of the corpus is in memory.
    """
    wanted, rows, pixels, compared = pa.array(digests, pa.binary(16)), [np.zeros(0, np.int64)], list[bytes](), 0
    for part in comparable_parts(corpus, ["uri"], ["pixels_id"]):
        touched = pc.is_in(part.measured["pixels_id"], value_set=wanted)
        rows.append(part.rows[touched.to_numpy(zero_copy_only=False)])
        pixels += part.measured["pixels_id"].filter(touched).to_pylist()
        compared += len(part.rows)
    return np.concatenate(rows), pixels, compared


def _by_pixels(others: ComparableImages, members: Ints, name: str) -> dict[bytes, Contamination]:
    members = members[::-1]  # of equal ones the first
    uris = others.column("uri", members).to_pylist()
    return {
        digest: Contamination(1.0, 1.0, uri, name)
        for digest, uri in zip(others.ids(members).tolist(), uris, strict=True)
    }


def _verified(verified: Rows, one: EvaluationSet, params: DecontaminateParams) -> list[tuple[str, Contamination]]:
    """Return the images whose pixels agree with those of an evaluation image, the best pair last."""
    limit = params.dedup.copy_score if one.threshold is None or params.dedup.near.verify == "none" else one.threshold
    pairs = copies(verified, params.dedup, limit)
    if one.distance is not None:
        near = pc.fill_null(pc.less_equal(pairs["distance"], one.distance), True)
        pairs = pairs.filter(near)
    pairs = pairs.filter(pc.equal(pairs["set"], one.name))
    pairs = pairs.sort_by([("score", "ascending"), ("other_uri", "descending")])
    evidence = zip(*(pairs[name].to_pylist() for name in ("uri", "score", "other_uri", "orientation")), strict=True)
    return [
        (image, Contamination(score, limit, uri, one.name, orientation)) for image, score, uri, orientation in evidence
    ]


def _pixels_of(corpus: tuple[Rows, Rows, Rows], uris: pa.Array) -> dict[str, bytes]:
    """Return the digest of the pixels of each image that has one of these uris, read part by part."""
    pixels = dict[str, bytes]()
    for part in comparable_parts(corpus, ["uri"], ["pixels_id"]) if len(uris) else ():
        wanted = pc.is_in(part.listed["uri"], value_set=uris)
        columns = (column.filter(wanted).to_pylist() for column in (part.listed["uri"], part.measured["pixels_id"]))
        pixels |= dict(zip(*columns, strict=True))
    return pixels


def _by_cosine(
    images: ComparableImages, others: ComparableImages, members: Ints, one: EvaluationSet, params: DecontaminateParams
) -> dict[bytes, Contamination]:
    """Return the pixels that the cosine alone takes for those of an evaluation image: all vectors are in memory.

    Compared with all of them, however many they are: what is missed here is trained on.
    """
    near, other_vectors, vectors = params.dedup.near, others.vectors(), images.vectors()
    limit = near.limit if one.threshold is None else one.threshold
    index = VectorIndex(other_vectors, near.embedder.orientations(), exact=True)
    index.add(members[others.trusted[members] & other_vectors[members].any(axis=1)])
    leader = exact_classes(images.pixels_id, np.arange(len(images)))  # of equal pixels any stands for all
    leads = np.flatnonzero(leader == np.arange(len(leader))).astype(np.int64)
    leads = leads[images.trusted[leads] & vectors[leads].any(axis=1)]
    contaminated = {}
    for start in range(0, len(leads), BLOCK):
        block = leads[start : start + BLOCK]
        cosines, nearest = index.nearest(vectors[block], 1)
        near_rows = np.flatnonzero(cosines[:, 0] >= limit)
        uris = others.column("uri", nearest[near_rows, 0]).to_pylist()
        for row, digest, uri in zip(near_rows.tolist(), images.ids(block[near_rows]).tolist(), uris, strict=True):
            contaminated[digest] = Contamination(float(cosines[row, 0]), limit, uri, one.name)
    return contaminated


def _refuse_above_cap(one: EvaluationSet, contaminated: int, corpus: int) -> None:
    if contaminated > one.cap * corpus:
        raise WorkFailedError(
            f"decontaminate would drop {contaminated:,} of {corpus:,} images for the evaluation set {one.name!r}, more "
            f"than its cap of {one.cap:.0%}. Look whether the set is part of the corpus or its threshold too low; "
            "if so many are right, raise `cap` of the set."
        )


def _table(placed: pa.Table, rows: list[Contamination]) -> pa.Table:
    return pa.table(
        {
            "part": placed["part"],
            "row": placed["row"],
            "value": pa.array([row.value for row in rows], pa.float32()),
            "threshold": pa.array([row.threshold for row in rows], pa.float32()),
            "kept_uri": pa.array([row.other for row in rows], pa.string()),
            "orientation": pa.array([row.orientation for row in rows], pa.string()).dictionary_encode(),
            "set": pa.array([row.set for row in rows], pa.string()).dictionary_encode(),
        }
    ).cast(CONTAMINATED.schema)
