"""Inside one bucket: the nearest others of every vector above a cosine, by exact inner products."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Bools, Bytes, Floats, Ints
from curation.arrays.runs import ranks
from curation.dedup.ivf.assign import ASKS, TARGET, fixed_binary
from curation.dedup.ivf.grid import least_on_grid
from curation.dedup.thumbnails import may_show

BLOCK = 1024
PENDING = 4_000_000
"""DirectedPairs that may wait to be sorted: what bounds memory in a bucket of near-copies."""

FOUND = pa.schema(
    [
        ("item", pa.binary(16)),
        ("other", pa.binary(16)),
        ("cosine", pa.float32()),
        ("shown", pa.bool_()),
        ("bucket", pa.int32()),
    ]
)
"""Pairs that were found, and in which bucket."""


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

    def nearest_rows(self, count: int) -> Ints:
        """Return each item's best pairs, at most so many, each other once: higher cosine first, then smaller number."""
        order = np.lexsort((self.other, -self.cosine, self.item))
        item, other = self.item[order], self.other[order]
        again = np.zeros(len(order), dtype=bool)
        by_pair = np.lexsort((np.arange(len(order)), other, item))
        again[by_pair[1:]] = (np.diff(item[by_pair]) == 0) & (np.diff(other[by_pair]) == 0)
        order, item = order[~again], item[~again]
        return order[ranks(item) < count]

    def nearest(self, count: int) -> "DirectedPairs":
        """Return those pairs."""
        best = self.nearest_rows(count)
        return DirectedPairs(self.item[best], self.other[best], self.cosine[best])


def search_bucket(rows: pa.Table, cosine: float, count: int, likely: float = -1.0) -> pa.Table:
    """Return directed pairs (item, other, cosine, shown, bucket) of one bucket: the `count` nearest of each that asks.

    Stored vectors meet each other and all visitors; what both only visit meets elsewhere or not at all. `shown` tells
    whether the cosine is at least `likely` or the thumbnails may show one picture.
    Memory: 4·dim bytes a row, and PENDING neighbours.
    """
    images, first, number = np.unique(to_ids(rows["image_id"]), return_index=True, return_inverse=True)
    roles = rows["role"].to_numpy()
    stored = rows["stored"].to_numpy().astype(bool)
    order = np.concatenate([np.flatnonzero(stored), np.flatnonzero(~stored)])
    bucket = _Bucket(to_vectors(rows["vector"])[order], number[order].astype(np.int64), int(stored.sum()))
    least = least_on_grid(cosine)
    alike = (roles == ASKS | TARGET).all()
    best = bucket.pairs(least, count) if alike else bucket.directed_pairs(roles[order], least, count)
    shown = best.cosine >= np.float32(likely)
    if "thumbnail" in rows.column_names:
        shown = _shown(best, shown, _bytes(rows["thumbnail"].take(first)).reshape(len(images), -1))
    ids = images.view(np.uint8).reshape(-1, 16)
    return pa.table(
        {
            "item": fixed_binary(ids[best.item], 16),
            "other": fixed_binary(ids[best.other], 16),
            "cosine": pa.array(best.cosine),
            "shown": pa.array(shown),
            "bucket": pa.array(np.full(len(shown), rows["bucket"][0].as_py()), pa.int32()),
        },
        schema=FOUND,
    )


@dataclass(frozen=True)
class _Bucket:
    """Vectors, the stored ones first, and the number of the image of each."""

    vectors: Floats
    number: Ints
    stored: int

    def pairs(self, least: np.float32, count: int) -> DirectedPairs:
        """Compare rows with the stored ones, block by block, a pair of stored ones once."""
        best = _Best(count)
        for start in range(0, len(self.vectors), BLOCK):
            block = self.vectors[start : start + BLOCK]
            for first in range(0, min(self.stored, start + len(block)), BLOCK):
                scores = block @ self.vectors[first : min(self.stored, first + BLOCK)].T
                row, column = np.nonzero(scores >= least)
                new = row + start > column + first
                one, another = self.number[row[new] + start], self.number[column[new] + first]
                best.add(one, another, scores[row[new], column[new]])
                best.add(another, one, scores[row[new], column[new]])
        return best.pairs()

    def directed_pairs(self, roles: Array, least: np.float32, count: int) -> DirectedPairs:
        """Compare what asks with what is a target, where one of the two is stored."""
        best, rows = _Best(count), np.arange(len(self.vectors))
        asking, targets = rows[(roles & ASKS) > 0], rows[(roles & TARGET) > 0]
        at_home = rows < self.stored
        for queries, others in (
            (asking, targets[at_home[targets]]),
            (asking[at_home[asking]], targets[~at_home[targets]]),
        ):
            for start in range(0, len(queries), BLOCK):
                block = queries[start : start + BLOCK]
                for first in range(0, len(others), BLOCK):
                    hosts = others[first : first + BLOCK]
                    scores = self.vectors[block] @ self.vectors[hosts].T
                    row, column = np.nonzero(scores >= least)
                    best.add(self.number[block[row]], self.number[hosts[column]], scores[row, column])
        return best.pairs()


class _Best:
    """The nearest others of each item, of pairs that come in pieces."""

    def __init__(self, count: int) -> None:
        self.count, self.waiting, self.pending = count, [DirectedPairs.join([])], 0

    def add(self, item: Ints, other: Ints, cosine: Floats) -> None:
        """Take pairs; those of an image with itself are none."""
        new = item != other
        self.waiting.append(DirectedPairs(item[new], other[new], cosine[new]))
        self.pending += len(item)
        if self.pending > PENDING:
            self.waiting, self.pending = [self.pairs()], 0

    def pairs(self) -> DirectedPairs:
        """Return the nearest of all that was taken."""
        return DirectedPairs.join(self.waiting).nearest(self.count)


def _shown(pairs: DirectedPairs, likely: Bools, thumbnails: Bytes) -> Bools:
    """Compare the thumbnails of the pairs that are not likely, each unordered pair once."""
    shown = likely.copy()
    seen: dict[tuple[int, int], bool] = {}
    for row in np.flatnonzero(~likely).tolist():
        one, other = sorted((int(pairs.item[row]), int(pairs.other[row])))
        if (one, other) not in seen:
            seen[one, other] = may_show(thumbnails[one], thumbnails[other])
        shown[row] = seen[one, other]
    return shown


def to_ids(column: pa.ChunkedArray) -> Array:
    """Return digests as an array of 16 opaque bytes each, which sort as bytes do."""
    return _bytes(column).view(np.dtype("V16"))


def to_vectors(column: pa.ChunkedArray) -> Floats:
    """Return vectors [n, dim] of a column of float16 bytes."""
    return _bytes(column).view(np.float16).reshape(-1, column.type.byte_width // 2).astype(np.float32)


def _bytes(column: pa.ChunkedArray) -> Array:
    joined, width = pa.concat_arrays([pa.array([], column.type), *column.chunks]), column.type.byte_width
    data = np.frombuffer(joined.buffers()[1], np.uint8)
    return data[joined.offset * width : (joined.offset + len(joined)) * width]
