"""Nearest 64-bit hashes by Hamming distance, searched through FAISS binary indexes."""

import faiss
import numpy as np

from curation.arrays import Bytes, Ints

BITS, BYTES, ORIENTATIONS = 64, 8, 8


class HashIndex:
    """Bytes that were added, searched in every orientation of the image that asks."""

    def __init__(self) -> None:
        self.index = faiss.IndexBinaryIDMap(faiss.IndexBinaryFlat(BITS))

    def add(self, hashes: Bytes, items: Ints) -> None:
        """Add the upright hashes of rows [n, 64]."""
        if len(items):
            self.index.add_with_ids(np.ascontiguousarray(hashes[:, :BYTES]), items)

    def several(self, hashes: Bytes, count: int) -> tuple[Ints, Ints]:
        """Return distances and items [n, 8 · count] of the nearest added hashes in each orientation (-1: none)."""
        if not self.index.ntotal or not len(hashes):
            return np.zeros((len(hashes), 0), np.int64), np.zeros((len(hashes), 0), np.int64)
        turned = [np.ascontiguousarray(hashes[:, at : at + BYTES]) for at in range(0, ORIENTATIONS * BYTES, BYTES)]
        found = [self.index.search(turn, count) for turn in turned]
        distances, items = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
        return distances.astype(np.int64), items

    def nearest(self, hashes: Bytes) -> tuple[Ints, Ints]:
        """Return, for rows [n, 64] of eight hashes, the smallest distance to an added one, and its item (-1: none)."""
        best, item = np.full(len(hashes), BITS + 1, np.int64), np.full(len(hashes), -1, np.int64)
        if not self.index.ntotal or not len(hashes):
            return best, item
        for first in range(0, ORIENTATIONS * BYTES, BYTES):
            distances, nearest = self.index.search(np.ascontiguousarray(hashes[:, first : first + BYTES]), 1)
            nearer = (distances[:, 0] < best) | ((distances[:, 0] == best) & (nearest[:, 0] < item))
            best[nearer], item[nearer] = distances[nearer, 0], nearest[nearer, 0]
        return best, item
