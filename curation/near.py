"""Near-duplicates: unit vectors above a cosine, searched through FAISS.

Few images are searched exactly. Many are put into the buckets of spherical k-means centroids and searched in
their few nearest buckets, with exact inner products inside; the share of true nearest neighbours that this
finds is measured on a sample of every run.
"""

from typing import Any

import faiss
import numpy as np

from curation.star import Floats, Ints

EXACT_BELOW = 50_000
"""So many images are searched exactly: at that size buckets save nothing."""
PROBES = 8
"""Nearest buckets that are searched."""
RECALL_SAMPLE = 256


class VectorResemblance:
    """Cosine of at least `threshold`, in any of the embedder's orientations."""

    reason = "near_duplicate"

    def __init__(
        self, vectors: Floats, threshold: float, trusted: Any, orientations: list[Ints], seed: int = 0
    ) -> None:
        """Take unit vectors [n, dim], which of them mean anything, and permutations that turn the image."""
        self.vectors = vectors
        self.threshold = threshold
        self.trusted = np.asarray(trusted, dtype=bool)
        self.orientations = orientations
        self.kept: list[Ints] = []
        self.buckets = 0
        if len(vectors) > EXACT_BELOW:
            self.buckets = 1 << int(np.log2(4 * np.sqrt(len(vectors))))
        self.index = self._new_index(seed)

    def _new_index(self, seed: int) -> Any:
        dim = self.vectors.shape[1]
        flat = faiss.IndexFlatIP(dim)
        if not self.buckets:
            return faiss.IndexIDMap(flat)
        rng = np.random.default_rng(seed)
        sample = np.sort(rng.permutation(len(self.vectors))[: 64 * self.buckets])
        kmeans = faiss.Kmeans(dim, self.buckets, niter=10, spherical=True, seed=seed + 1)
        kmeans.train(self.vectors[sample])
        assert kmeans.centroids is not None
        flat.add(kmeans.centroids)
        index = faiss.IndexIVFFlat(flat, dim, self.buckets, faiss.METRIC_INNER_PRODUCT)
        index.own_fields = False
        self._quantizer = flat  # the index holds only a pointer to it
        index.nprobe = min(PROBES, self.buckets)
        return index

    def to_kept(self, items: Ints) -> tuple[Floats, Ints]:
        """Return the best cosine with a kept vector over all orientations."""
        scores, kept = np.full(len(items), -np.inf, np.float32), np.full(len(items), -1, np.int64)
        asked = np.flatnonzero(self.trusted[items])
        if not self.index.ntotal or not len(asked):
            return scores, kept
        queries = self.vectors[items[asked]]
        for turn in self.orientations:
            found_scores, found = self.index.search(np.ascontiguousarray(queries[:, turn]), 1)
            better = (found_scores[:, 0] >= self.threshold) & (found_scores[:, 0] > scores[asked])
            scores[asked[better]] = found_scores[better, 0]
            kept[asked[better]] = found[better, 0]
        return scores, kept

    def among(self, items: Ints) -> Floats:
        """Return the cosines between the items, best over all orientations."""
        vectors = self.vectors[items]
        best = np.full((len(items), len(items)), -np.inf, np.float32)
        for turn in self.orientations:
            np.maximum(best, vectors[:, turn] @ vectors.T, out=best)
        trusted = self.trusted[items]
        best[(best < self.threshold) | ~trusted[:, None] | ~trusted[None, :]] = -np.inf
        return best

    def keep(self, items: Ints) -> None:
        """Add kept vectors to the index."""
        items = items[self.trusted[items]]
        if len(items):
            self.index.add_with_ids(self.vectors[items], items)
            self.kept.append(items)

    def recall(self, seed: int = 0) -> float:
        """Return the share of sampled kept images whose nearest other kept image the index finds."""
        if not self.buckets or self.index.ntotal < 2:
            return 1.0
        ids = np.concatenate(self.kept)
        rng = np.random.default_rng(seed)
        sample = rng.choice(ids, min(RECALL_SAMPLE, len(ids)), replace=False)
        exact = faiss.IndexIDMap(faiss.IndexFlatIP(self.vectors.shape[1]))
        exact.add_with_ids(self.vectors[ids], ids)
        queries = self.vectors[sample]
        truth, found = exact.search(queries, 2)[1], self.index.search(queries, 2)[1]
        return float(np.mean([t[1] in f for t, f in zip(truth, found, strict=True)]))
