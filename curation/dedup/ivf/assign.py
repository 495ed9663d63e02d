"""From a part of vectors to rows for buckets: where each vector is stored, and which buckets it visits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Bytes, Floats, Ints
from curation.arrays.runs import ranks
from curation.dedup.ivf.centroids import Centroids

BLOCK = 2048


@dataclass(frozen=True)
class Probing:
    """How many buckets a vector visits beside its own: all whose centroid is nearly as near, up to a limit."""

    margin: float
    """A bucket is visited when its centroid's cosine is at most so far below that of the nearest."""
    most: int = 64
    """Buckets visited by one vector in one orientation, at most."""


ASKS, TARGET = 1, 2
"""Roles of an image: its neighbours are sought; it may be a neighbour. Most have both."""


@dataclass(frozen=True)
class VectorPart:
    """Some images of a corpus."""

    ids: Array
    """Digests [n] of 16 bytes."""
    vectors: Floats
    """[n, dim], on the grid."""
    roles: Array
    """[n]"""
    thumbnails: Bytes
    """[n, width]; without width where none are compared."""

    @classmethod
    def of(cls, ids: Array, vectors: Floats) -> "VectorPart":
        """Return images that ask and are targets, without thumbnails."""
        return cls(ids, vectors, np.full(len(ids), ASKS | TARGET, np.int8), np.zeros((len(ids), 0), np.uint8))

    def take(self, rows: Array) -> "VectorPart":
        """Return some of the images."""
        return VectorPart(self.ids[rows], self.vectors[rows], self.roles[rows], self.thumbnails[rows])

    def having(self, role: int) -> "VectorPart":
        """Return the images of a role."""
        return self.take((self.roles & role) > 0)


def bucket_rows(images: VectorPart, centroids: Centroids, probing: Probing, turns: Sequence[Ints] = ()) -> pa.Table:
    """Return a row for each stored vector and each visit: bucket, stored, role, image_id, the vector in float16.

    A vector is stored as it is, and also visits as each of the permutations `turns` of its components. The thumbnail,
    where there is one, stands beside it.
    """
    vectors = images.vectors
    pieces = [_visits(vectors, centroids, probing, stored=True)]
    pieces += [_visits(vectors[:, turn], centroids, probing, stored=False) for turn in turns]
    item, bucket, stored = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    turned = np.repeat(np.arange(len(pieces)), [len(piece[0]) for piece in pieces])
    order = np.argsort(bucket, kind="stable")
    item, turned = item[order], turned[order]
    halves = vectors.astype(np.float16)
    copies = halves[item]
    for number, turn in enumerate(turns, start=1):
        copies[turned == number] = copies[turned == number][:, turn]
    width = 2 * vectors.shape[1]
    columns = {
        "bucket": pa.array(bucket[order], pa.int32()),
        "stored": pa.array(stored[order]),
        "role": pa.array(images.roles[item], pa.int8()),
        "image_id": fixed_binary(images.ids[item], 16),
        "vector": fixed_binary(copies, width),
    }
    thumbnail = images.thumbnails.shape[1]
    return pa.table(columns | ({"thumbnail": fixed_binary(images.thumbnails[item], thumbnail)} if thumbnail else {}))


def _visits(vectors: Floats, centroids: Centroids, probing: Probing, stored: bool) -> tuple[Ints, Ints, Array]:
    """Return, for each visit, the vector's number, the bucket, and whether the vector is stored there."""
    items, buckets, homes = [], [], []
    for start in range(0, len(vectors), BLOCK):
        scores = vectors[start : start + BLOCK] @ centroids.vectors.T
        home = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), home]
        item, bucket = np.nonzero(scores >= (best - np.float32(probing.margin))[:, None])
        near = _limited(item, scores[item, bucket], probing.most)
        item, bucket = item[near], bucket[near]
        items.append(item + start)
        buckets.append(bucket)
        homes.append((bucket == home[item]) & stored)
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *items]), np.concatenate([none, *buckets]), np.concatenate([none > 0, *homes])


def _limited(item: Ints, scores: Floats, most: int) -> Ints:
    """Return the rows of the best scores of each item, at most so many; of equal ones the first."""
    order = np.lexsort((-scores, item))
    return np.sort(order[ranks(item[order]) < most])


def fixed_binary(values: Array, width: int) -> pa.Array:
    """Return rows of bytes as an Arrow array, without a copy."""
    data = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.binary(width), len(data), [None, pa.py_buffer(data)])
