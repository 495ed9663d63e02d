"""Perceptual duplicates: 64-bit hashes within a Hamming distance, searched through FAISS binary indexes."""

from typing import Any

import faiss
import numpy as np

from curation.star import Floats, Ints

BITS = 64


class HashResemblance:
    """Hamming distance at most `distance`; items without a trustworthy hash resemble nothing."""

    reason = "perceptual_duplicate"

    def __init__(self, hashes: np.ndarray[Any, np.dtype[np.uint8]], distance: int, trusted: Any) -> None:
        """Take hashes [n, 8] as bytes, and for each item whether its hash means anything."""
        self.hashes = np.ascontiguousarray(hashes)
        self.distance = distance
        self.trusted = np.asarray(trusted, dtype=bool)
        self.index = faiss.IndexBinaryIDMap(faiss.IndexBinaryFlat(BITS))

    def to_kept(self, items: Ints) -> tuple[Floats, Ints]:
        """Return minus the smallest distance to a kept hash."""
        scores, kept = np.full(len(items), -np.inf, np.float32), np.full(len(items), -1, np.int64)
        asked = np.flatnonzero(self.trusted[items])
        if self.index.ntotal and len(asked):
            distances, found = self.index.search(self.hashes[items[asked]], 1)
            close = distances[:, 0] <= self.distance
            scores[asked[close]] = -distances[close, 0]
            kept[asked[close]] = found[close, 0]
        return scores, kept

    def among(self, items: Ints) -> Floats:
        """Return minus the distances between the items."""
        bits = np.unpackbits(self.hashes[items], axis=1).astype(np.float32)
        differing = bits @ (1 - bits).T
        scores = -(differing + differing.T)
        trusted = self.trusted[items]
        scores[(scores < -self.distance) | ~trusted[:, None] | ~trusted[None, :]] = -np.inf
        return scores

    def keep(self, items: Ints) -> None:
        """Add kept hashes to the index."""
        items = items[self.trusted[items]]
        if len(items):
            self.index.add_with_ids(self.hashes[items], items)
