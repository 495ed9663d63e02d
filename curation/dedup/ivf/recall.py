"""How many buckets must be visited, told by a sample's true neighbours before anything is searched.

A pair is met when either of the two visits the bucket in which the other is stored. So for every true pair of the
sample the least margin that finds it is known from centroids alone, and the recipe's recall is a quantile.
"""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Floats
from curation.arrays.draws import draws, words
from curation.arrays.runs import ranks
from curation.dedup.ivf.assign import Probing, VectorPart, fixed_binary
from curation.dedup.ivf.centroids import Centroids
from curation.dedup.ivf.grid import least_on_grid
from curation.dedup.ivf.search import DirectedPairs, to_ids, to_vectors
from shared.storage import Store
from shared.storage.checked import read_table, write_table

STEP = 2.0**-8
"""Margins are rounded up to multiples of it."""


@dataclass(frozen=True)
class VectorSample:
    """Some images of a corpus: their digests [n] of 16 bytes and vectors [n, dim]."""

    ids: Array
    vectors: Floats

    @classmethod
    def of(cls, part: VectorPart) -> "VectorSample":
        """Return the images of a part."""
        return cls(part.ids, part.vectors)

    @classmethod
    def none(cls) -> "VectorSample":
        """Return no images."""
        return cls(np.zeros(0, "V16"), np.zeros((0, 1), np.float32))

    def below(self, limit: int, purpose: str) -> "VectorSample":
        """Return those whose draw by a hash of their ids is at most so large."""
        chosen = draws(words(self.ids), purpose) <= np.uint64(limit)
        return VectorSample(self.ids[chosen], self.vectors[chosen])


def joined(pieces: list[VectorSample], purpose: str) -> VectorSample:
    """Return all images of several samples, in the order of their draws, whatever the order of the pieces."""
    pieces = [piece for piece in pieces if len(piece.ids)] or [VectorSample.none()]
    ids, vectors = np.concatenate([p.ids for p in pieces]), np.concatenate([p.vectors for p in pieces])
    order = np.argsort(draws(words(ids), purpose), kind="stable")
    return VectorSample(ids[order], vectors[order])


def write_sample(store: Store, name: str, images: VectorSample) -> None:
    """Commit a sample."""
    halves = images.vectors.astype(np.float16)
    table = pa.table({"image_id": fixed_binary(images.ids, 16), "vector": fixed_binary(halves, 2 * halves.shape[1])})
    write_table(store, name, table)


def read_sample(store: Store, name: str) -> VectorSample:
    """Return a sample that was committed."""
    table = read_table(store, name)
    return VectorSample(to_ids(table["image_id"]), to_vectors(table["vector"]))


@dataclass(frozen=True)
class TruePairs:
    """True neighbours of sampled images: for each pair the query's number, the other image and its vector."""

    query: Array
    cosine: Floats
    others: VectorSample


def true_neighbours(queries: VectorSample, images: VectorSample, cosine: float, count: int) -> TruePairs:
    """Return the queries' nearest others in one part, at least so near: by comparing all."""
    ids, vectors = images.ids, images.vectors
    order = np.argsort(ids)
    scores = queries.vectors @ vectors[order].T
    query, other = np.nonzero(scores >= least_on_grid(cosine))
    others = queries.ids[query] != ids[order][other]
    query, other = query[others], other[others]
    best = DirectedPairs(query, other, scores[query, other]).nearest(count)
    chosen = order[best.other]
    return TruePairs(best.item, best.cosine, VectorSample(ids[chosen], vectors[chosen]))


def merge_truth(parts: list[TruePairs], count: int) -> TruePairs:
    """Return the nearest over all parts."""
    query, cosine = (np.concatenate([getattr(part, name) for part in parts]) for name in ("query", "cosine"))
    ids, vectors = (np.concatenate([getattr(part.others, name) for part in parts]) for name in ("ids", "vectors"))
    order = np.lexsort((np.argsort(np.argsort(ids)), -cosine, query))
    best = order[ranks(query[order]) < count]
    return TruePairs(query[best], cosine[best], VectorSample(ids[best], vectors[best]))


TRUE = pa.schema(
    [("item", pa.binary(16)), ("other", pa.binary(16)), ("cosine", pa.float32()), ("margin", pa.float32())]
)
"""True pairs, and the least margin at which each is met."""


def true_table(queries: VectorSample, truth: TruePairs, centroids: Centroids, most: int) -> pa.Table:
    """Return the true pairs with what they need, as rows of TRUE."""
    items, others = fixed_binary(queries.ids[truth.query], 16), fixed_binary(truth.others.ids, 16)
    margins = needed(queries, truth, centroids, most)
    return pa.table([items, others, pa.array(truth.cosine, pa.float32()), pa.array(margins)], schema=TRUE)


def nearest_true(pairs: pa.Table, count: int) -> pa.Table:
    """Return of rows of TRUE each item's nearest."""
    ids = np.concatenate([to_ids(pairs["item"]), to_ids(pairs["other"])])
    item, other = np.split(np.unique(ids, return_inverse=True)[1].astype(np.int64), 2)
    return pairs.take(DirectedPairs(item, other, pairs["cosine"].to_numpy()).nearest_rows(count)).combine_chunks()


def needed(queries: VectorSample, truth: TruePairs, centroids: Centroids, most: int) -> Floats:
    """Return, for each true pair, the least margin at which one visits the other's bucket; infinity for none.

    Permutations of components are left out: with them more is found, never less.
    """
    one = _visits(queries.vectors, centroids)[truth.query] if len(truth.query) else np.zeros((0, len(centroids)))
    another = _visits(truth.others.vectors, centroids)
    rows = np.arange(len(truth.query))
    margins = []
    for visitor, host in ((one, another), (another, one)):
        home = host.argmax(axis=1)
        at_home = visitor[rows, home]
        gap = visitor.max(axis=1) - at_home if len(rows) else np.zeros(0)
        rank = (visitor > at_home[:, None]).sum(axis=1)
        margins.append(np.where(rank < most, gap, np.inf))
    return np.minimum(*margins).astype(np.float32)


def probing_for(margins: Floats, recall: float, most: int) -> Probing:
    """Return the least probing that finds such a share of the sampled pairs: all that can be found where none does."""
    if not len(margins):
        return Probing(0.0, most)
    wanted = np.sort(margins)[min(len(margins), int(np.ceil(recall * len(margins)))) - 1]
    finite = margins[np.isfinite(margins)]
    least = float(wanted if np.isfinite(wanted) else finite.max(initial=0.0))
    return Probing(math.ceil(least / STEP) * STEP, most)


def _visits(vectors: Floats, centroids: Centroids) -> Floats:
    return vectors @ centroids.vectors.T
