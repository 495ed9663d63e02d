"""Edges between images whose perceptual hashes are near in some orientation, and between those with equal pixels.

An edge is evidence that goes to verification, never a verdict: unlike pictures share hashes by chance.
"""

import numpy as np

from curation.arrays import Array, Bytes, Ints
from curation.dedup.hash_tables import HashTables

ORIENTATIONS, BYTES = 8, 8


def hash_pairs(hashes: Bytes, tables: HashTables, only: range | None = None) -> tuple[Ints, Ints, Array]:
    """Return (image, other, distance) of different images: of the one in any orientation, of the other upright.

    `hashes` [n, 64] are bytes. Each ordered pair stands once, with its smallest distance. `only` names the tables of
    one piece of work: then a pair may stand in several pieces. Equal hashes are collapsed before (equal_groups).
    """
    words = np.ascontiguousarray(hashes).view(">u8").reshape(-1, ORIENTATIONS).astype(np.uint64)
    images, others, distances = [], [], []
    for table in only or range(len(tables.keys)):
        query, other, distance = tables.matches(words[:, 0], words.ravel(), table)
        image = query // ORIENTATIONS
        new = image != other
        images.append(image[new])
        others.append(other[new])
        distances.append(distance[new])
    none = np.zeros(0, np.int64)
    image, other = np.concatenate([none, *images]), np.concatenate([none, *others])
    distance = np.concatenate([none.astype(np.uint8), *distances])
    order = np.lexsort((distance, other, image))
    image, other, distance = image[order], other[order], distance[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(image) != 0) | (np.diff(other) != 0)
    return image[first], other[first], distance[first]


def equal_groups(keys: Array) -> tuple[Ints, Ints]:
    """Return edges (member, first) from each image to the first one with the same key (pixels digest, eight hashes).

    A million equal images cost a million edges, not their square; only the first ones go on to other searches.
    """
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    leader = first[inverse]
    members = np.flatnonzero(leader != np.arange(len(keys)))
    return members.astype(np.int64), leader[members].astype(np.int64)
