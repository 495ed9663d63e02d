"""Pairs of images that are near each other, by an embedding or by hash: what candidates are made of."""

from dataclasses import dataclass

import numpy as np

from curation.arrays import Array, Bools, Floats, Ints
from curation.arrays.runs import ranges


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

    def directed(self, order: Array) -> "NeighbourPairs":
        """Return the pairs turned so that the worse of the two in keep order comes first."""
        rank = np.empty(len(order), dtype=order.dtype)
        rank[order] = np.arange(len(order))
        worse = rank[self.item] > rank[self.other]
        items, others = np.where(worse, self.item, self.other), np.where(worse, self.other, self.item)
        return NeighbourPairs.of([items], [others], [self.nearness])


def merged(several: list[NeighbourPairs]) -> NeighbourPairs:
    """Return all pairs, each once."""
    return NeighbourPairs.of([p.item for p in several], [p.other for p in several], [p.nearness for p in several])


def onward_pairs(pairs: NeighbourPairs, alike: NeighbourPairs, for_worse: Bools) -> NeighbourPairs:
    """Pair what is near an image with what is alike that one: of several copies dedup keeps the best.

    `alike` names the better image of each pair second. What is near an image is paired with the better ones, and where
    `for_worse` [images] says so with the worse ones too.
    """
    back = for_worse[alike.other]
    first, second = (
        np.concatenate(sides) for sides in ((alike.item, alike.other[back]), (alike.other, alike.item[back]))
    )
    order = np.argsort(first, kind="stable")
    one, other = np.concatenate([pairs.item, pairs.other]), np.concatenate([pairs.other, pairs.item])
    starts, ends = (np.searchsorted(first[order], other, side) for side in ("left", "right"))
    items, near = (np.repeat(column, ends - starts) for column in (one, np.tile(pairs.nearness, 2)))
    found = NeighbourPairs.of([items], [second[order][ranges(starts, ends)]], [near])
    return found.take(found.item != found.other)
