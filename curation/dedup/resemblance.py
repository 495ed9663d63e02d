"""When two images resemble each other: by vectors, or by verified pairs."""

from typing import Any

import numpy as np

from curation.arrays import Floats, Ints
from curation.dedup.vector_index import NOTHING, VectorIndex

PERCEPTUAL, NEAR = "perceptual_duplicate", "near_duplicate"


class VectorResemblance:
    """Cosine of at least `threshold`, in any of the embedder's orientations."""

    reason = NEAR

    def __init__(self, index: VectorIndex, threshold: float, trusted: Any) -> None:
        """Take an index without vectors, and which of the vectors that may be added mean anything."""
        self.index = index
        self.threshold = threshold
        self.trusted = np.asarray(trusted, dtype=bool)

    def to_kept(self, items: Ints) -> tuple[Floats, Ints]:
        """Return the best cosine with a kept vector over all orientations."""
        scores, kept = np.full(len(items), -np.inf, np.float32), np.full(len(items), NOTHING, np.int64)
        searched = np.flatnonzero(self.trusted[items])
        cosines, nearest = self.index.nearest(self.index.vectors[items[searched]], 1)
        near = cosines[:, 0] >= self.threshold
        scores[searched[near]], kept[searched[near]] = cosines[near, 0], nearest[near, 0]
        return scores, kept

    def among(self, items: Ints) -> Floats:
        """Return the cosines between the items, best over all orientations."""
        vectors = self.index.vectors[items]
        best = vectors @ vectors.T
        for turn in self.index.orientations:
            np.maximum(best, vectors[:, turn] @ vectors.T, out=best)
        trusted = self.trusted[items]
        best[(best < self.threshold) | ~trusted[:, None] | ~trusted[None, :]] = -np.inf
        return best

    def keep(self, items: Ints) -> None:
        """Add kept vectors to the index."""
        self.index.add(items[self.trusted[items]])


class PairResemblance:
    """Pairs that something else judged: an item resembles the others that are named beside it."""

    def __init__(self, reason: str, scores: dict[int, dict[int, float]]) -> None:
        """Take, for each item, the earlier items that it resembles, with a score where higher is more alike."""
        self.reason = reason
        self.scores = scores
        self.kept: set[int] = set()

    def to_kept(self, items: Ints) -> tuple[Floats, Ints]:
        """Return the best score with a kept item; of equal ones, the smaller item."""
        scores, kept = np.full(len(items), -np.inf, np.float32), np.full(len(items), NOTHING, np.int64)
        for i, item in enumerate(items.tolist()):
            matches = [(score, -other) for other, score in self.scores.get(item, {}).items() if other in self.kept]
            if matches:
                scores[i], kept[i] = max(matches)[0], -max(matches)[1]
        return scores, kept

    def among(self, items: Ints) -> Floats:
        """Return the scores [n, n] between the items, each with the earlier ones."""
        place = {item: i for i, item in enumerate(items.tolist())}
        best = np.full((len(items), len(items)), -np.inf, np.float32)
        for item, i in place.items():
            for other, score in self.scores.get(item, {}).items():
                if other in place:
                    best[i, place[other]] = score
        return best

    def keep(self, items: Ints) -> None:
        """Remember the kept items."""
        self.kept.update(items.tolist())
