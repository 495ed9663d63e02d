"""Proposed pairs as parts of a table: what proposed each, where its pixels are, and which pairs stand in one part."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from curation.arrays import Ints
from curation.dedup.comparable_images import ComparableImages
from curation.dedup.ivf.assign import fixed_binary
from curation.dedup.knn_pairs import NeighbourPairs, merged
from shared.catalog import CANDIDATES, WHERE
from shared.stage_runner.slots import spans

PART_PAIRS = 2000
"""Pairs in a part, at most on average: some ten seconds of comparing. Of 14,119 pairs of 3,624 images in parts of 1,000
11,528 are described, 9,338 in parts of 2,000, 7,924 of 4,000; one large part keeps all workers but one waiting."""

AT_ONCE, AT_ONCE_SHARE = 500_000, 0.05
"""Pairs whose rows are in memory, some 600 bytes each, on average at most: so many, or that share of the images. The
index is read for each so many: of a large corpus a number that stays would have it read ever more often."""


@dataclass(frozen=True)
class ProposedPairs:
    """Pairs, each once, with what proposed them."""

    item: Ints
    other: Ints
    distance: pa.Array

    @classmethod
    def of(cls, by_embedding: NeighbourPairs, by_hash: NeighbourPairs) -> "ProposedPairs":
        """Join what embeddings and what hashes proposed."""
        both = merged([by_embedding, by_hash])
        distance = pa.array(-_nearness(both, by_hash), pa.float32(), from_pandas=True).cast(pa.int32())
        return cls(both.item, both.other, distance)

    def take(self, rows: Ints) -> "ProposedPairs":
        """Return some of the pairs."""
        return ProposedPairs(self.item[rows], self.other[rows], self.distance.take(pa.array(rows)))


def _nearness(wanted: NeighbourPairs, known: NeighbourPairs) -> np.ndarray:
    """Return how near the wanted pairs are among the known ones, NaN for those that are not."""
    span = int(max(wanted.other.max(initial=0), known.other.max(initial=0))) + 1
    keys, known_keys = wanted.item * span + wanted.other, known.item * span + known.other
    at = np.minimum(np.searchsorted(known_keys, keys), max(0, len(known_keys) - 1))
    if not len(known_keys):
        return np.full(len(keys), np.nan, np.float32)
    return np.where(known_keys[at] == keys, known.nearness[at], np.nan)


@dataclass(frozen=True)
class Proposal:
    """Pairs of images with others, and a cell [n] for each, by which they are cut into parts."""

    images: ComparableImages
    others: ComparableImages
    pairs: ProposedPairs
    cells: Ints
    set_column: str | None = None
    """The column that names the evaluation set of the others."""


def pair_parts(proposals: Sequence[Proposal]) -> Iterator[pa.Table]:
    """Yield parts of CANDIDATES: the rows of some cells at a time, of which one table holds all."""
    cells = np.sort(np.concatenate([proposal.cells for proposal in proposals]))
    at_once = max(AT_ONCE, int(AT_ONCE_SHARE * max(len(proposal.images) for proposal in proposals)))
    for low, high in pairwise([*np.unique(cells[::at_once]).tolist(), int(cells.max(initial=0)) + 1]):
        yield from _cut([_of_cells(proposal, low, high) for proposal in proposals])


def _of_cells(proposal: Proposal, low: int, high: int) -> tuple[pa.Table, Ints]:
    """Return the rows of some cells in the order of these, and the cell of each: put in order before they are read."""
    inside = np.flatnonzero((proposal.cells >= low) & (proposal.cells < high))
    inside = inside[np.argsort(proposal.cells[inside], kind="stable")]
    return _pair_table(proposal, proposal.pairs.take(inside)), proposal.cells[inside]


def _pair_table(proposal: Proposal, pairs: ProposedPairs) -> pa.Table:
    images, others, set_column = proposal.images, proposal.others, proposal.set_column
    one, other = images.table(WHERE, pairs.item), others.table(WHERE, pairs.other)
    columns = {name: one[name] for name in WHERE} | {f"other_{name}": other[name] for name in WHERE}
    sets = others.column(set_column, pairs.other) if set_column else pa.nulls(len(pairs.item), pa.string())
    for name, side, items in (("", images, pairs.item), ("other_", others, pairs.other)):
        columns[f"{name}image_id"] = fixed_binary(side.ids_of_files(items), 16)
        columns[f"{name}pixels_id"] = fixed_binary(side.ids(items), 16)
    proposed = {"set": sets.cast(pa.string()), "distance": pairs.distance}
    return pa.table({**columns, **proposed}).select(CANDIDATES.schema.names).cast(CANDIDATES.schema)


def _cut(tables: Sequence[tuple[pa.Table, Ints]]) -> Iterator[pa.Table]:
    """Cut tables with a cell for each row, ascending, by cell, and large cells by a digest of the uri.

    So added images rename only their own parts. A cell is the bucket of the image's nearest other: neighbours meet in
    one part, where each is described once.
    """
    for cell in np.unique(np.concatenate([cells for _, cells in tables])).tolist():
        spans_ = [(rows, *np.searchsorted(cells, (cell, cell + 1)).tolist()) for rows, cells in tables]
        inside = pa.concat_tables([rows.slice(begin, end - begin) for rows, begin, end in spans_])
        slots = np.array([_slot(uri) for uri in inside["uri"].to_pylist()], dtype=np.int64)
        for low, high in spans(inside.num_rows, PART_PAIRS):
            part = inside.filter(pa.array((slots >= low) & (slots < high)))
            if part.num_rows:
                yield part.unify_dictionaries().sort_by([("uri", "ascending"), ("other_uri", "ascending")])


def _slot(uri: str) -> int:
    return int.from_bytes(hashlib.blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=4).digest(), "big")
