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
