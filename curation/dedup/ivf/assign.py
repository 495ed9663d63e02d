"""From a part of vectors to rows for buckets: where each vector is stored, its home, and which buckets it visits."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Bools, Bytes, Floats, Ints
from curation.arrays.runs import ranks
from curation.dedup.ivf.centroids import Centroids
from curation.dedup.ivf.products import products

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
ASKS_NEW, NEW = 4, 8
"""Its neighbours are known but for those that are new; it is a new target."""
ANY = -2.0
"""The least cosine of a neighbour of an image that takes any."""


@dataclass(frozen=True)
class VectorPart:
    """Some images of a corpus."""

    ids: Array
    """Digests [n] of 16 bytes."""
    vectors: Floats
    """[n, dim], on the grid."""
    roles: Array
    """[n]"""
    floors: Floats
    """[n], the least cosine of a neighbour that is of use to each."""
    thumbnails: Bytes
    """[n, width]; without width where none are compared."""

    @classmethod
    def of(cls, ids: Array, vectors: Floats) -> "VectorPart":
        """Return images that ask and are targets, without thumbnails."""
        count = len(ids)
        roles, floors = np.full(count, ASKS | TARGET, np.int8), np.full(count, ANY, np.float32)
        return cls(ids, vectors, roles, floors, np.zeros((count, 0), np.uint8))

    @classmethod
    def join(cls, parts: "list[VectorPart]") -> "VectorPart":
        """Return the images of all parts, one of them at least."""
        return cls(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls)))

    def take(self, rows: Array) -> "VectorPart":
        """Return some of the images."""
        return VectorPart(*(getattr(self, column.name)[rows] for column in fields(self)))

    def having(self, role: int) -> "VectorPart":
        """Return the images of a role."""
        return self.where((self.roles & role) > 0)

    def where(self, chosen: Bools) -> "VectorPart":
        """Return the images of a mask, without a copy where all are chosen."""
        return self if chosen.all() else self.take(chosen)


@dataclass(frozen=True)
class Visits:
    """Which buckets images visit: a row for each image and bucket, sorted by bucket."""

    item: Ints
    """The number of the image."""
    bucket: Ints
    turns: Ints
    """Bit by bit, how it visits: as it is, and as each permutation of its components."""
    home: Ints
    """The bucket [images] in which each image is stored."""

    def counts(self, buckets: int) -> Ints:
        """Return how many visit each of so many buckets, in all turns."""
        return np.bincount(self.bucket, np.bitwise_count(self.turns), buckets).astype(np.int64)

    def where(self, chosen: Bools) -> "Visits":
        """Return some of the rows."""
        return Visits(self.item[chosen], self.bucket[chosen], self.turns[chosen], self.home)


def visits_of(vectors: Floats, centroids: Centroids, probing: Probing, turns: Sequence[Ints] = ()) -> Visits:
    """Return where vectors [n, dim], and each of the permutations `turns` of their components, are compared."""
    keys, bits, homes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for number, turn in enumerate((None, *turns)):
        # A turned vector meets a centroid as the vector meets the centroid turned back.
        beside = centroids.vectors if turn is None else centroids.vectors[:, np.argsort(turn)]
        for start in range(0, len(vectors), BLOCK):
            scores = products(vectors[start : start + BLOCK], beside)
            home = scores.argmax(axis=1)
            best = scores[np.arange(len(scores)), home]
            item, bucket = np.nonzero(scores >= (best - np.float32(probing.margin))[:, None])
            near = _limited(item, scores[item, bucket], probing.most)
            keys.append(bucket[near] * len(vectors) + item[near] + start)
            bits.append(np.full(len(near), 1 << number))
            if turn is None:
                homes.append(home)
    key, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    visits = np.bincount(inverse, np.concatenate(bits), len(key)).astype(np.int64)
    bucket, item = np.divmod(key, max(len(vectors), 1))
    return Visits(item, bucket, visits, np.concatenate(homes))


def bucket_rows(images: VectorPart, visits: Visits) -> tuple[pa.Table, pa.Table]:
    """Return the rows of visits, with the vectors in float16.

    And the thumbnail of each image that has a row, in the bucket that is its home.
    """
    item, home = visits.item, visits.home
    columns = {
        "bucket": pa.array(visits.bucket, pa.int32()),
        "home": pa.array(home[item], pa.int32()),
        "visits": pa.array(visits.turns, pa.int32()),
        "role": pa.array(images.roles[item], pa.int8()),
        "floor": pa.array(images.floors[item], pa.float32()),
        "image_id": fixed_binary(images.ids[item], 16),
        "vector": fixed_binary(images.vectors[item].astype(np.float16), 2 * images.vectors.shape[1]),
    }
    visiting = np.zeros(len(home), dtype=bool)
    visiting[item] = True
    some = images.where(visiting)
    seen = {
        "bucket": pa.array(home[visiting], pa.int32()),
        "image_id": fixed_binary(some.ids, 16),
        "thumbnail": fixed_binary(some.thumbnails, some.thumbnails.shape[1]),
    }
    return pa.table(columns), pa.table(seen)


def _limited(item: Ints, scores: Floats, most: int) -> Ints:
    """Return the rows of the best scores of each item, at most so many; of equal ones the first."""
    if np.bincount(item).max(initial=0) <= most:
        return np.arange(len(item))
    order = np.lexsort((-scores, item))
    return np.sort(order[ranks(item[order]) < most])


def fixed_binary(values: Array, width: int) -> pa.Array:
    """Return rows of bytes as an Arrow array, without a copy."""
    data = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.binary(width), len(data), [None, pa.py_buffer(data)])
