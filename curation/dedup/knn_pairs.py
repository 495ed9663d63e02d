"""Nearest neighbours among the images of a corpus, in one embedding: what candidates are made of."""

from dataclasses import dataclass

import numpy as np

from curation.arrays import Bools, Floats, Ints
from curation.dedup.comparable_images import ComparableImages
from curation.dedup.vector_index import NOTHING, VectorIndex
from curation.embedders.embedding import Embedding

BLOCK = 4096


@dataclass(frozen=True)
class NeighbourPairs:
    """NeighbourPairs of images with their cosines, as columns; each pair once, sorted."""

    item: Ints
    other: Ints
    cosine: Floats

    @classmethod
    def of(cls, items: list[Ints], others: list[Ints], cosines: list[Floats]) -> "NeighbourPairs":
        """Join pieces; of a pair that was found more than once, the greatest cosine stays."""
        none = np.zeros(0, dtype=np.int64)
        item, other = np.concatenate([none, *items]), np.concatenate([none, *others])
        cosine = np.concatenate([none.astype(np.float32), *cosines])
        order = np.lexsort((-cosine, other, item))
        item, other, cosine = item[order], other[order], cosine[order]
        first = np.ones(len(item), dtype=bool)
        first[1:] = (item[1:] != item[:-1]) | (other[1:] != other[:-1])
        return cls(item[first], other[first], cosine[first])

    def take(self, chosen: Bools) -> "NeighbourPairs":
        """Return some of the pairs."""
        return NeighbourPairs(self.item[chosen], self.other[chosen], self.cosine[chosen])

    def directed(self, order: Ints) -> "NeighbourPairs":
        """Return the pairs turned so that the worse of the two in keep order comes first."""
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        worse = rank[self.item] > rank[self.other]
        items, others = np.where(worse, self.item, self.other), np.where(worse, self.other, self.item)
        return NeighbourPairs.of([items], [others], [self.cosine])


def merged(several: list[NeighbourPairs]) -> NeighbourPairs:
    """Return all pairs, each once."""
    return NeighbourPairs.of([p.item for p in several], [p.other for p in several], [p.cosine for p in several])


@dataclass(frozen=True)
class EmbeddingSearch:
    """One embedding of a corpus, searched for neighbours of at least a cosine."""

    index: VectorIndex
    comparable: Bools
    column: str
    cosine: float
    count: int

    @classmethod
    def of(
        cls, images: ComparableImages, column: str, embedder: Embedding, cosine: float, count: int
    ) -> "EmbeddingSearch":
        """Read the vectors of a column of MEASUREMENTS; nothing is searched until it was added."""
        vectors = images.vectors(column=column)
        index = VectorIndex(vectors, embedder.orientations())
        return cls(index, images.columns.trusted & vectors.any(axis=1), column, cosine, count)

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
