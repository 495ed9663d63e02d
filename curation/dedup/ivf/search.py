"""Inside one bucket: the nearest others of every vector above a cosine, by exact inner products."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Floats, Ints
from curation.dedup.ivf.assign import fixed_binary
from curation.dedup.ivf.grid import least_on_grid

BLOCK = 1024
PENDING = 4_000_000
"""DirectedPairs that may wait to be sorted: what bounds memory in a bucket of near-copies."""


@dataclass(frozen=True)
class DirectedPairs:
    """Directed pairs as columns: an item, one of its nearest others, and their cosine."""

    item: Ints
    other: Ints
    cosine: Floats

    @classmethod
    def join(cls, pieces: "list[DirectedPairs]") -> "DirectedPairs":
        """Return all pairs of the pieces."""
        none = np.zeros(0, np.int64)
        item, other = (np.concatenate([none, *(getattr(p, name) for p in pieces)]) for name in ("item", "other"))
        return cls(item, other, np.concatenate([none.astype(np.float32), *(p.cosine for p in pieces)]))

    def nearest(self, count: int) -> "DirectedPairs":
        """Return each item's best pairs, at most so many, each other once: higher cosine first, then smaller number."""
        order = np.lexsort((self.other, -self.cosine, self.item))
        item, other = self.item[order], self.other[order]
        again = np.zeros(len(order), dtype=bool)
        by_pair = np.lexsort((np.arange(len(order)), other, item))
        again[by_pair[1:]] = (np.diff(item[by_pair]) == 0) & (np.diff(other[by_pair]) == 0)
        order, item = order[~again], item[~again]
        begins = np.flatnonzero(np.diff(item, prepend=-1))
        rank = np.arange(len(item)) - np.repeat(begins, np.diff(begins, append=len(item)))
        best = order[rank < count]
        return DirectedPairs(self.item[best], self.other[best], self.cosine[best])


def search_bucket(rows: pa.Table, cosine: float, count: int) -> pa.Table:
    """Return directed pairs (item, other, cosine) of one bucket's rows: the `count` nearest of each image.

    Stored vectors meet each other and all visitors; what both only visit meets elsewhere or not at all.
    Memory: 4·dim bytes a row, and PENDING neighbours.
    """
    images, number = np.unique(to_ids(rows["image_id"]), return_inverse=True)
    stored = rows["stored"].to_numpy().astype(bool)
    order = np.concatenate([np.flatnonzero(stored), np.flatnonzero(~stored)])
    vectors = to_vectors(rows["vector"])[order]
    best = _pairs(vectors, number[order].astype(np.int64), int(stored.sum()), least_on_grid(cosine), count)
    ids = images.view(np.uint8).reshape(-1, 16)
    return pa.table(
        {
            "item": fixed_binary(ids[best.item], 16),
            "other": fixed_binary(ids[best.other], 16),
            "cosine": pa.array(best.cosine),
        }
    )


def _pairs(vectors: Floats, number: Ints, stored: int, least: np.float32, count: int) -> DirectedPairs:
    """Compare rows with the first `stored` ones, block by block, a pair of stored ones once."""
    best, waiting, pending = DirectedPairs.join([]), [], 0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        for first in range(0, min(stored, start + len(block)), BLOCK):
            scores = block @ vectors[first : min(stored, first + BLOCK)].T
            row, column = np.nonzero(scores >= least)
            one, another = row + start, column + first
            new = (one > another) & (number[one] != number[another])
            one, another, found = number[one[new]], number[another[new]], scores[row[new], column[new]]
            waiting += [DirectedPairs(one, another, found), DirectedPairs(another, one, found)]
            pending += 2 * len(one)
            if pending > PENDING:
                best = DirectedPairs.join([best, *waiting]).nearest(count)
                waiting, pending = [], 0
    return DirectedPairs.join([best, *waiting]).nearest(count)


def to_ids(column: pa.ChunkedArray) -> Array:
    """Return digests as an array of 16 opaque bytes each, which sort as bytes do."""
    return _bytes(column).view(np.dtype("V16"))


def to_vectors(column: pa.ChunkedArray) -> Floats:
    """Return vectors [n, dim] of a column of float16 bytes."""
    return _bytes(column).view(np.float16).reshape(len(column), -1).astype(np.float32)


def _bytes(column: pa.ChunkedArray) -> Array:
    joined = column.combine_chunks()
    joined = pa.concat_arrays(joined.chunks) if isinstance(joined, pa.ChunkedArray) else joined
    width = column.type.byte_width
    data = np.frombuffer(joined.buffers()[1], np.uint8)
    return data[joined.offset * width : (joined.offset + len(joined)) * width]
