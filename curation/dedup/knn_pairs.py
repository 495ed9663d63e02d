"""Nearest neighbours among the images of a corpus, by one embedding or by hash: what candidates are made of."""

from dataclasses import dataclass

import numpy as np

from curation.arrays import Bools, Floats, Ints
from curation.dedup.comparable_images import ComparableImages
from curation.dedup.hash_index import HashIndex
from curation.dedup.vector_index import NOTHING, VectorIndex
from curation.embedders.embedding import Embedding

BLOCK = 4096
LIKELY, ALONE = 0.7, 0.45
"""Shares of the way from the least cosine of a candidate to that of a copy."""


@dataclass(frozen=True)
class NeighbourPairs:
    """Pairs of images with how near they are, as columns; each pair once, sorted."""

    item: Ints
    other: Ints
    nearness: Floats
    """The cosine, or minus the Hamming distance."""

    @classmethod
    def of(cls, items: list[Ints], others: list[Ints], nearness: list[Floats]) -> "NeighbourPairs":
        """Join pieces; of a pair that was found more than once, the nearest stays."""
        none = np.zeros(0, dtype=np.int64)
        item, other = np.concatenate([none, *items]), np.concatenate([none, *others])
        near = np.concatenate([none.astype(np.float32), *nearness])
        order = np.lexsort((-near, other, item))
        item, other, near = item[order], other[order], near[order]
        first = np.ones(len(item), dtype=bool)
        first[1:] = (item[1:] != item[:-1]) | (other[1:] != other[:-1])
        return cls(item[first], other[first], near[first])

    def take(self, chosen: Bools) -> "NeighbourPairs":
        """Return some of the pairs."""
        return NeighbourPairs(self.item[chosen], self.other[chosen], self.nearness[chosen])

    def directed(self, order: Ints) -> "NeighbourPairs":
        """Return the pairs turned so that the worse of the two in keep order comes first."""
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        worse = rank[self.item] > rank[self.other]
        items, others = np.where(worse, self.item, self.other), np.where(worse, self.other, self.item)
        return NeighbourPairs.of([items], [others], [self.nearness])


def merged(several: list[NeighbourPairs]) -> NeighbourPairs:
    """Return all pairs, each once."""
    return NeighbourPairs.of([p.item for p in several], [p.other for p in several], [p.nearness for p in several])


@dataclass(frozen=True)
class EmbeddingSearch:
    """One embedding of a corpus, searched for neighbours of at least a cosine."""

    index: VectorIndex
    comparable: Bools
    column: str
    cosine: float
    likely: float
    """From here on a pair is a candidate whatever its thumbnails say."""
    alone: float
    """From here on the nearest one is, for an image that has no other candidate."""
    count: int

    @classmethod
    def of(
        cls, images: ComparableImages, column: str, embedder: Embedding, cosine: float, count: int
    ) -> "EmbeddingSearch":
        """Read the vectors of a column of MEASUREMENTS; nothing is searched until it was added."""
        vectors = images.vectors(column=column)
        index = VectorIndex(vectors, embedder.orientations())
        likely, alone = (cosine + share * (max(cosine, embedder.copy_cosine) - cosine) for share in (LIKELY, ALONE))
        return cls(index, images.columns.trusted & vectors.any(axis=1), column, cosine, likely, alone, count)

    def add(self, items: Ints) -> None:
        """Let these images be found, as far as they can be compared."""
        self.index.add(np.sort(items[self.comparable[items]]))

    def neighbours(self, items: Ints) -> NeighbourPairs:
        """Return each item with its nearest others among those that were added."""
        pairs = self._search(self.index, items, self.count + 1)
        return pairs.take(pairs.item != pairs.other)

    def references(self, items: Ints, sets: ComparableImages) -> NeighbourPairs:
        """Return each item with its nearest images of the evaluation sets."""
        vectors = sets.vectors(column=self.column)
        index = VectorIndex(vectors, self.index.orientations)
        index.add(np.flatnonzero(sets.columns.trusted & vectors.any(axis=1)).astype(np.int64))
        return self._search(index, items, self.count)

    def _search(self, index: VectorIndex, items: Ints, count: int) -> NeighbourPairs:
        items = items[self.comparable[items]]
        pieces: list[NeighbourPairs] = []
        for start in range(0, len(items), BLOCK):
            block = items[start : start + BLOCK]
            cosines, others = index.nearest(self.index.vectors[block], count)
            row, column = np.nonzero((cosines >= self.cosine) & (others != NOTHING))
            pieces.append(NeighbourPairs(block[row], others[row, column], cosines[row, column]))
        return merged(pieces)


def hash_pairs(
    images: ComparableImages, items: Ints, others: ComparableImages, known: Ints, limits: tuple[int, int]
) -> NeighbourPairs:
    """Return these items with the nearest known others by hash; `limits` are their number and their distance."""
    count, distance = limits
    items, known = items[images.columns.trusted[items]], known[others.columns.trusted[known]]
    index = HashIndex()
    index.add(others.columns.hashes[known], known)
    pieces: list[NeighbourPairs] = []
    for start in range(0, len(items), BLOCK):
        block = items[start : start + BLOCK]
        distances, nearest = index.several(images.columns.hashes[block], min(count, len(known)))
        row, column = np.nonzero((nearest != NOTHING) & (distances <= distance))
        near = -distances[row, column].astype(np.float32)
        pieces.append(NeighbourPairs.of([block[row]], [nearest[row, column]], [near]))
    return merged(pieces)


def onward_pairs(pairs: NeighbourPairs, by_hash: NeighbourPairs) -> NeighbourPairs:
    """Pair what is near an image with what that image may be dropped for: of several copies, dedup keeps the best.

    `by_hash` names the better image of each pair second.
    """
    one, other = np.concatenate([pairs.item, pairs.other]), np.concatenate([pairs.other, pairs.item])
    starts, ends = (np.searchsorted(by_hash.item, other, side) for side in ("left", "right"))
    rows = np.concatenate([np.arange(0), *map(np.arange, starts, ends)])
    items, near = (np.repeat(column, ends - starts) for column in (one, np.tile(pairs.nearness, 2)))
    found = NeighbourPairs.of([items], [by_hash.other[rows]], [near])
    return found.take(found.item != found.other)
