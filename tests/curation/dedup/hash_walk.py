"""The star rule by hashes as a walk over everything, by the definition: what faster ways must give."""

from typing import Any

import numpy as np

from curation.arrays import Bytes, Floats, Ints
from curation.dedup.hash_tables import BITS, ORIENTATIONS
from curation.dedup.resemblance import PERCEPTUAL


class HashResemblance:
    """Hamming distance at most `distance`."""

    reason = PERCEPTUAL

    def __init__(self, hashes: Bytes, distance: int, trusted: Any) -> None:
        """Take the hashes [n, 64] of eight orientations, and for each item whether they mean anything."""
        self.hashes = hashes
        self.distance = distance
        self.trusted = np.asarray(trusted, dtype=bool)
        self.kept = np.zeros(0, np.int64)

    def to_kept(self, items: Ints) -> tuple[Floats, Ints]:
        """Return minus the smallest distance to a kept hash."""
        scores, kept = np.full(len(items), -np.inf, np.float32), np.full(len(items), -1, np.int64)
        searched = np.flatnonzero(self.trusted[items])
        distances, nearest = self._nearest(items[searched])
        close = distances <= self.distance
        scores[searched[close]], kept[searched[close]] = -distances[close], nearest[close]
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
        """Remember the kept items."""
        self.kept = np.concatenate([self.kept, items[self.trusted[items]]])

    def _nearest(self, items: Ints) -> tuple[Ints, Ints]:
        bits = np.unpackbits(self.hashes, axis=1).reshape(-1, ORIENTATIONS, BITS)
        apart = (bits[items][:, None] != bits[self.kept][None, :, :1]).sum(axis=3).min(axis=2)
        if not len(self.kept):
            return np.full(len(items), BITS + 1), np.full(len(items), -1)
        best = apart.min(axis=1)
        same = np.where(apart == best[:, None], self.kept[None], np.iinfo(np.int64).max)
        return best, same.min(axis=1)
