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
from curation.dedup.exact_classes import exact_classes, keep_order
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
    images = comparable_images(*corpus, params.dedup)
    others = comparable_images(*references, None, params.dedup)
    sets = others.column("source").cast(pa.string()).to_pylist()
    leader = exact_classes(images.columns, keep_order(images.columns))
    contaminated: dict[int, Contamination] = {}
    for one in params.sets:
        members = np.array([i for i, name in enumerate(sets) if name == one.name], dtype=np.int64)
        by_this_set = _contaminated(images, others, members, leader, verified, one, params)
        _refuse_above_cap(one, len(by_this_set), len(images.columns))
        contaminated = by_this_set | contaminated  # of several sets, the first that the recipe names
    counts = {one.name: sum(item.set == one.name for item in contaminated.values()) for one in params.sets}
    return with_facts(_table(images, contaminated), {"contaminated": counts, "unreadable": unreadable})


def _contaminated(
    images: ComparableImages,
    others: ComparableImages,
    members: Ints,
    leader: Ints,
    verified: Rows,
    one: EvaluationSet,
    params: DecontaminateParams,
) -> dict[int, Contamination]:
    """Return each image of the corpus that touches one set; of an exact class, every member."""
    near = params.dedup.near
    leads = np.flatnonzero(leader == np.arange(len(leader))).astype(np.int64)
    leaders: dict[int, Contamination] = {}
    if near.enabled and near.verify == "none":
        leaders |= _by_cosine(images, others, members, leads, one, params)
    leaders |= _verified(images, verified, one, params)
    leaders |= _by_pixels(images, others, members, leads, one.name)
    return {item: leaders[int(first)] for item, first in enumerate(leader) if int(first) in leaders}


def _by_pixels(
    images: ComparableImages, others: ComparableImages, members: Ints, leads: Ints, name: str
) -> dict[int, Contamination]:
    uri_of = {others.columns.pixels_id[i]: str(others.columns.uri[i]) for i in members[::-1]}
    pixels = images.columns.pixels_id
    return {int(i): Contamination(1.0, 1.0, uri_of[pixels[i]], name) for i in leads if pixels[i] in uri_of}


def _verified(
    images: ComparableImages, verified: Rows, one: EvaluationSet, params: DecontaminateParams
) -> dict[int, Contamination]:
    """Return the images whose pixels agree with an evaluation image, whatever proposed the pair."""
    limit = params.dedup.copy_score if one.threshold is None or params.dedup.near.verify == "none" else one.threshold
    pairs = copies(verified, params.dedup, limit)
    if one.distance is not None:
        near = pc.fill_null(pc.less_equal(pairs["distance"], one.distance), True)
        pairs = pairs.filter(near)
    pairs = pairs.filter(pc.equal(pairs["set"], one.name))
    pairs = pairs.sort_by([("score", "ascending"), ("other_uri", "descending")])  # the last one stays: the best
    items = pc.index_in(pairs["uri"], value_set=pa.array(images.columns.uri, pa.string())).to_pylist()
    evidence = zip(items, *(pairs[name].to_pylist() for name in ("score", "other_uri", "orientation")), strict=True)
    return {
        item: Contamination(score, limit, uri, one.name, orientation)
        for item, score, uri, orientation in evidence
        if item is not None
    }


def _by_cosine(
    images: ComparableImages,
    others: ComparableImages,
    members: Ints,
    leads: Ints,
    one: EvaluationSet,
    params: DecontaminateParams,
) -> dict[int, Contamination]:
    near, other_vectors, vectors = params.dedup.near, others.vectors(), images.vectors()
    limit = near.limit if one.threshold is None else one.threshold
    index = VectorIndex(other_vectors, near.embedder.orientations())
    index.add(members[others.columns.trusted[members] & other_vectors[members].any(axis=1)])
    leads = leads[images.columns.trusted[leads] & vectors[leads].any(axis=1)]
    contaminated = {}
    for start in range(0, len(leads), BLOCK):
        block = leads[start : start + BLOCK]
        cosines, nearest = index.nearest(vectors[block], 1)
        for row in np.flatnonzero(cosines[:, 0] >= limit):
            uri = str(others.columns.uri[nearest[row, 0]])
            contaminated[int(block[row])] = Contamination(float(cosines[row, 0]), limit, uri, one.name)
    return contaminated


def _refuse_above_cap(one: EvaluationSet, contaminated: int, corpus: int) -> None:
    if contaminated > one.cap * corpus:
        raise WorkFailedError(
            f"decontaminate would drop {contaminated:,} of {corpus:,} images for the evaluation set {one.name!r}, more "
            f"than its cap of {one.cap:.0%}. Look whether the set is part of the corpus or its threshold too low; "
            "if so many are right, raise `cap` of the set."
        )


def _table(images: ComparableImages, contaminated: dict[int, Contamination]) -> pa.Table:
    items = np.array(sorted(contaminated), dtype=np.int64)
    rows = [contaminated[int(item)] for item in items]
    placed = images.places().take(items)
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
