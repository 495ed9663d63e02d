"""Perceptual duplicates: 64-bit hashes within a Hamming distance, searched through FAISS binary indexes."""

from typing import Any

import faiss
import numpy as np

from curation.star import Floats, Ints

BITS, BYTES, ORIENTATIONS = 64, 8, 8

Hashes = np.ndarray[Any, np.dtype[np.uint8]]


class HashIndex:
    """Hashes that were added, searched in every orientation of the image that asks."""

    def __init__(self) -> None:
        self.index = faiss.IndexBinaryIDMap(faiss.IndexBinaryFlat(BITS))

    def add(self, hashes: Hashes, items: Ints) -> None:
        """Add the upright hashes of rows [n, 64]."""
        if len(items):
            self.index.add_with_ids(np.ascontiguousarray(hashes[:, :BYTES]), items)

    def nearest(self, hashes: Hashes) -> tuple[Ints, Ints]:
        """Return, for rows [n, 64] of eight hashes, the smallest distance to an added one, and its item (-1: none)."""
        best, item = np.full(len(hashes), BITS + 1, np.int64), np.full(len(hashes), -1, np.int64)
        if not self.index.ntotal or not len(hashes):
            return best, item
        for first in range(0, ORIENTATIONS * BYTES, BYTES):
            distances, found = self.index.search(np.ascontiguousarray(hashes[:, first : first + BYTES]), 1)
            nearer = (distances[:, 0] < best) | ((distances[:, 0] == best) & (found[:, 0] < item))
            best[nearer], item[nearer] = distances[nearer, 0], found[nearer, 0]
        return best, item


class HashResemblance:
    """Hamming distance at most `distance`; items without a trustworthy hash resemble nothing."""

    reason = "perceptual_duplicate"

    def __init__(self, hashes: Hashes, distance: int, trusted: Any) -> None:
        """Take the hashes [n, 64] of eight orientations, and for each item whether they mean anything."""
        self.hashes = hashes
        self.distance = distance
        self.trusted = np.asarray(trusted, dtype=bool)
        self.index = HashIndex()

    def to_kept(self, items: Ints) -> tuple[Floats, Ints]:
        """Return minus the smallest distance to a kept hash."""
        scores, kept = np.full(len(items), -np.inf, np.float32), np.full(len(items), -1, np.int64)
        asked = np.flatnonzero(self.trusted[items])
        distances, found = self.index.nearest(self.hashes[items[asked]])
        close = distances <= self.distance
        scores[asked[close]], kept[asked[close]] = -distances[close], found[close]
        return scores, kept

    def among(self, items: Ints) -> Floats:
        """Return minus the distances between the items, each turned every way against the others upright."""
        bits = np.unpackbits(self.hashes[items], axis=1).astype(np.float32)
        upright = bits[:, :BITS]
        scores = np.full((len(items), len(items)), -np.inf, np.float32)
        for first in range(0, ORIENTATIONS * BITS, BITS):
            turned = bits[:, first : first + BITS]
            np.maximum(scores, -(turned @ (1 - upright).T + (1 - turned) @ upright.T), out=scores)
        trusted = self.trusted[items]
        scores[(scores < -self.distance) | ~trusted[:, None] | ~trusted[None, :]] = -np.inf
        return scores

    def keep(self, items: Ints) -> None:
        """Add kept hashes to the index."""
        items = items[self.trusted[items]]
        self.index.add(self.hashes[items], items)
