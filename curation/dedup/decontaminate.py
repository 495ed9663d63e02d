"""Which images of the corpus resemble one of an evaluation set: by pixels, by hash, then by geometry or cosine.

The corpus loses. A similarity is told in one direction, more is more alike: 1 for equal pixels, the share of
equal hash bits, the geometric score, or the cosine.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup.comparable import Corpus, compared_images
from curation.dedup.duplicates import classes, keep_order
from curation.dedup.hash_index import BITS, HashIndex
from curation.dedup.star_rule import Ints
from curation.dedup.vector_index import VectorIndex
from curation.params.copies import DecontaminateParams, EvaluationSet
from shared.catalog import CONTAMINATED, VERIFIED
from shared.errors import WorkFailedError
from shared.tables import Rows, with_facts

BLOCK = 4096


@dataclass(frozen=True)
class Contact:
    """Why an image is contaminated."""

    value: float
    threshold: float
    other: str
    """The evaluation image."""
    set: str


def contaminated_tables(
    corpus: tuple[Rows, Rows, Rows], references: tuple[Rows, Rows], verified: Rows, params: DecontaminateParams
) -> pa.Table:
    """Return CONTAMINATED. Raises WorkFailedError when a set would take more of the corpus than its cap."""
    images = compared_images(*corpus, params.dedup)
    others = compared_images(*references, None, params.dedup)
    sets = others.column("source").cast(pa.string()).to_pylist()
    leader = classes(images.compared, keep_order(images.compared))
    found: dict[int, Contact] = {}
    for one in params.sets:
        mine = np.array([i for i, name in enumerate(sets) if name == one.name], dtype=np.int64)
        contacts = _contacts(images, others, mine, leader, verified, one, params)
        _refuse_above_cap(one, len(contacts), len(images.compared))
        found = contacts | found  # of several sets, the first that the recipe names
    counts = {one.name: sum(contact.set == one.name for contact in found.values()) for one in params.sets}
    return with_facts(_table(images, found), {"contaminated": counts})


def _contacts(
    images: Corpus,
    others: Corpus,
    mine: Ints,
    leader: Ints,
    verified: Rows,
    one: EvaluationSet,
    params: DecontaminateParams,
) -> dict[int, Contact]:
    """Return each image of the corpus that touches one set; of an exact class, every member."""
    near = params.dedup.near
    leads = np.flatnonzero(leader == np.arange(len(leader))).astype(np.int64)
    found: dict[int, Contact] = {}
    if near.enabled and near.verify == "geometric":
        found |= _by_geometry(images, verified, one, near.limit if one.threshold is None else one.threshold)
    elif near.enabled:
        found |= _by_cosine(images, others, mine, leads, one, params)
    if params.dedup.perceptual.enabled:
        distance = params.dedup.perceptual.distance if one.distance is None else one.distance
        found |= _by_hash(images, others, mine, leads, one.name, distance)
    found |= _by_pixels(images, others, mine, leads, one.name)
    return {item: found[int(first)] for item, first in enumerate(leader) if int(first) in found}


def _by_pixels(images: Corpus, others: Corpus, mine: Ints, leads: Ints, name: str) -> dict[int, Contact]:
    known = {others.compared.pixels_id[i]: str(others.compared.uri[i]) for i in mine[::-1]}
    pixels = images.compared.pixels_id
    return {int(i): Contact(1.0, 1.0, known[pixels[i]], name) for i in leads if pixels[i] in known}


def _by_hash(images: Corpus, others: Corpus, mine: Ints, leads: Ints, name: str, distance: int) -> dict[int, Contact]:
    index = HashIndex()
    mine, asked = mine[others.compared.trusted[mine]], leads[images.compared.trusted[leads]]
    index.add(others.compared.hashes[mine], mine)
    distances, nearest = index.nearest(images.compared.hashes[asked])
    limit = 1 - distance / BITS
    return {
        int(item): Contact(1 - int(far) / BITS, limit, str(others.compared.uri[other]), name)
        for item, far, other in zip(asked, distances, nearest, strict=True)
        if far <= distance
    }


def _by_geometry(images: Corpus, verified: Rows, one: EvaluationSet, limit: float) -> dict[int, Contact]:
    pairs = verified.table(VERIFIED, ["uri", "other_uri", "set", "score"])
    pairs = pairs.filter(pc.and_(pc.equal(pairs["set"], one.name), pc.greater_equal(pairs["score"], limit)))
    pairs = pairs.sort_by([("score", "ascending"), ("other_uri", "descending")])  # the last one stays: the best
    items = pc.index_in(pairs["uri"], value_set=pa.array(images.compared.uri, pa.string())).to_pylist()
    told: dict[Any, tuple[float, str]] = dict(
        zip(items, zip(pairs["score"].to_pylist(), pairs["other_uri"].to_pylist(), strict=True), strict=True)
    )
    return {item: Contact(score, limit, uri, one.name) for item, (score, uri) in told.items() if item is not None}


def _by_cosine(
    images: Corpus, others: Corpus, mine: Ints, leads: Ints, one: EvaluationSet, params: DecontaminateParams
) -> dict[int, Contact]:
    near, known, vectors = params.dedup.near, others.vectors(), images.vectors()
    limit = near.limit if one.threshold is None else one.threshold
    index = VectorIndex(known, near.embedder.orientations())
    index.add(mine[others.compared.trusted[mine] & known[mine].any(axis=1)])
    asked = leads[images.compared.trusted[leads] & vectors[leads].any(axis=1)]
    found = {}
    for start in range(0, len(asked), BLOCK):
        block = asked[start : start + BLOCK]
        cosines, nearest = index.nearest(vectors[block], 1)
        for row in np.flatnonzero(cosines[:, 0] >= limit):
            uri = str(others.compared.uri[nearest[row, 0]])
            found[int(block[row])] = Contact(float(cosines[row, 0]), limit, uri, one.name)
    return found


def _refuse_above_cap(one: EvaluationSet, contaminated: int, corpus: int) -> None:
    if contaminated > one.cap * corpus:
        raise WorkFailedError(
            f"decontaminate would drop {contaminated:,} of {corpus:,} images for the evaluation set {one.name!r}, more "
            f"than its cap of {one.cap:.0%}. Look whether the set is part of the corpus or its threshold too low; "
            "if so many are right, raise `cap` of the set."
        )


def _table(images: Corpus, found: dict[int, Contact]) -> pa.Table:
    items = np.array(sorted(found), dtype=np.int64)
    contacts = [found[int(item)] for item in items]
    placed = images.places().take(items)
    return pa.table(
        {
            "part": placed["part"],
            "row": placed["row"],
            "value": pa.array([c.value for c in contacts], pa.float32()),
            "threshold": pa.array([c.threshold for c in contacts], pa.float32()),
            "kept_uri": pa.array([c.other for c in contacts], pa.string()),
            "set": pa.array([c.set for c in contacts], pa.string()).dictionary_encode(),
        }
    ).cast(CONTAMINATED.schema)
