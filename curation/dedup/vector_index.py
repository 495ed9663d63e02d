"""Nearest vectors, and near-duplicates above a cosine, searched through FAISS.

Few images are searched exactly. Many are put into the buckets of spherical k-means centroids and searched in
their few nearest buckets, with exact inner products inside; the share of true nearest neighbours that this
finds is measured on a sample of every run, and more buckets are searched where it is too small.
"""

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np

from curation.arrays import Floats, Ints

EXACT_BELOW = 50_000
"""So many images are searched exactly: at that size buckets save nothing."""
PROBES, MOST_PROBES = 8, 64
"""Nearest buckets that are searched at first, and at most."""
RECALL_SAMPLE = 1024
"""Of so many a recall of .99 is known to ±.003."""
ROUNDING = 1e-5
"""Two ways to add up a cosine differ by less."""
NOTHING = -1
"""Stands for no image among those found."""


class VectorIndex:
    """Unit vectors that were added, searched by cosine in every orientation of the image that asks."""

    def __init__(self, vectors: Floats, orientations: Sequence[Ints], seed: int = 0, *, exact: bool = False) -> None:
        """Take all vectors [n, dim] that may be added, and the permutations that turn one's image.

        Exactly searched, if so said, however many they are.
        """
        self.vectors = vectors
        self.orientations = orientations
        self.added: list[Ints] = []
        self.buckets = 0
        if not exact and len(vectors) > EXACT_BELOW:
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

    def add(self, items: Ints) -> None:
        """Add the vectors of these items."""
        if len(items):
            self.index.add_with_ids(self.vectors[items], items)
            self.added.append(items)

    def nearest(self, queries: Floats, count: int) -> tuple[Floats, Ints]:
        """Return cosines [n, count] and items of the nearest added vectors, best first; -inf and NOTHING at the end.

        An item that is near in several orientations stands there once, with its best cosine.
        """
        if not self.index.ntotal or not len(queries):
            shape = (len(queries), count)
            return np.full(shape, -np.inf, np.float32), np.full(shape, NOTHING, np.int64)
        plain = self.index.search(np.ascontiguousarray(queries), count)
        turned = [self.index.search(np.ascontiguousarray(queries[:, turn]), count) for turn in self.orientations]
        scores, items = (np.concatenate(parts, axis=1) for parts in zip(plain, *turned, strict=True))
        scores = np.where(items == NOTHING, -np.inf, scores)
        return _best_of_each(scores.astype(np.float32), items, count)

    def clear(self) -> None:
        """Forget what was added, but not the buckets, nor how many are searched."""
        self.index.reset()
        self.added.clear()

    @property
    def probes(self) -> int:
        """How many buckets are searched for each query."""
        return int(self.index.nprobe) if self.buckets else 1

    def widen(self, recall: float) -> bool:
        """Search twice as many buckets, and again, until the recall is this or they are most; return whether so."""
        before, most = self.probes, min(MOST_PROBES, self.buckets)
        while self.probes < most and self.recall() < recall:
            self.index.nprobe = min(2 * self.probes, most)
        return self.probes > before

    def recall(self, seed: int = 0) -> float:
        """Return the share of sampled added images whose nearest other added image, or one as near, is found."""
        if not self.buckets or self.index.ntotal < 2:
            return 1.0
        ids = np.concatenate(self.added)
        rng = np.random.default_rng(seed)
        sample = rng.choice(ids, min(RECALL_SAMPLE, len(ids)), replace=False)
        exact = faiss.IndexIDMap(faiss.IndexFlatIP(self.vectors.shape[1]))
        exact.add_with_ids(self.vectors[ids], ids)
        queries = self.vectors[sample]
        true, found = exact.search(queries, 2)[0], self.index.search(queries, 2)[0]  # the best is the image itself
        return float(np.mean(found[:, 1] >= true[:, 1] - ROUNDING))


def _best_of_each(scores: Floats, items: Ints, count: int) -> tuple[Floats, Ints]:
    """Sort each row by score, then item; an item that was met before in its row gives way."""
    order = np.lexsort((items, -scores), axis=1)
    scores, items = np.take_along_axis(scores, order, axis=1), np.take_along_axis(items, order, axis=1)
    by_item = np.argsort(items, axis=1, kind="stable")
    sorted_items = np.take_along_axis(items, by_item, axis=1)
    again = np.zeros_like(sorted_items, dtype=bool)
    again[:, 1:] = sorted_items[:, 1:] == sorted_items[:, :-1]
    met = np.zeros_like(again)
    np.put_along_axis(met, by_item, again, axis=1)
    scores, items = np.where(met, -np.inf, scores), np.where(met, NOTHING, items)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(items, order, axis=1)
