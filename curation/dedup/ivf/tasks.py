"""The pieces of work of a search for near pairs: each a pure function of the files that it names.

assign: a group of parts → one file sorted by bucket. search: a span of buckets → one file sorted by image.
collect: a span of images → pairs. Before them, sample and truth tell the centroids and the probing.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.arrays import Array, Floats, Ints
from curation.dedup.ivf.assign import Probing, bucket_rows, fixed_binary
from curation.dedup.ivf.centroids import Centroids
from curation.dedup.ivf.grid import on_grid
from curation.dedup.ivf.recall import TruePairs, VectorSample, merge_truth, pick, true_neighbours
from curation.dedup.ivf.search import DirectedPairs, search_bucket, to_ids
from shared.storage import Store
from shared.storage.sorted_file import open_sorted, write_sorted

QUERIES = 1024
"""Images whose true neighbours are sought: half of them choose the probing, the other half judge the result."""

HOME = Probing(0.0)
"""No bucket is visited but a vector's own."""


@dataclass(frozen=True)
class NearSearch:
    """What is sought, and how."""

    cosine: float
    """The least cosine of a neighbour."""
    count: int
    """DirectedPairs of an image, at most."""
    recall: float = 0.99
    bucket_rows: int = 1000
    most_probes: int = 64
    turns: tuple[Any, ...] = ()
    """Permutations of components under which an image is compared too."""
    parts_per_file: int = 4
    buckets_per_task: int = 32
    spans: int = 8
    """Files of pairs."""


@dataclass(frozen=True)
class Task:
    """One piece of work: it names files, and carries none of their rows."""

    url: str
    folder: str
    search: NearSearch
    names: tuple[str, ...]
    """Files that are read."""
    output: str = ""
    low: int = 0
    high: int = 0
    probing: Probing = HOME

    @property
    def store(self) -> Store:
        """The storage of all files."""
        return Store(self.url)


def read_vectors(store: Store, name: str) -> tuple[Array, Floats]:
    """Return the digests and the vectors on the grid of a part with columns image_id and vector."""
    with store.open(name) as file:
        part = pq.read_table(file, columns=["image_id", "vector"])
    values = part["vector"].combine_chunks()
    flat = values.flatten() if isinstance(values, pa.Array) else pa.concat_arrays(values.chunks).flatten()
    vectors = flat.to_numpy(zero_copy_only=False).reshape(part.num_rows, -1)
    return to_ids(part["image_id"]), on_grid(vectors)


def sample(task: Task) -> tuple[int, VectorSample, VectorSample]:
    """Return the rows of some parts, and what they offer to the samples: for fitting (`low` images), for recall."""
    rows = 0
    kept: tuple[list[VectorSample], list[VectorSample]] = ([], [])
    for name in task.names:
        ids, vectors = read_vectors(task.store, name)
        rows += len(ids)
        for pieces, count, purpose in zip(kept, (task.low, QUERIES), ("centroids", "recall"), strict=True):
            pieces.append(pick(ids, vectors, count, purpose))
    return rows, joined(kept[0], task.low, "centroids"), joined(kept[1], QUERIES, "recall")


def truth(task: Task) -> TruePairs:
    """Return the true neighbours, in some parts, of the sampled images."""
    (queries_name, *parts), search = task.names, task.search
    queries = VectorSample(*read_vectors(task.store, queries_name))
    read = (read_vectors(task.store, name) for name in parts)
    return merge_truth([true_neighbours(queries, *part, search.cosine, search.count) for part in read], search.count)


def assign(task: Task) -> Ints:
    """Write the rows for buckets of some parts, sorted by bucket; return how many each bucket gets."""
    centroids_name, *parts = task.names
    centroids = Centroids.load(task.store.read(centroids_name))
    read = (read_vectors(task.store, name) for name in parts)
    rows = pa.concat_tables([bucket_rows(*part, centroids, task.probing, task.search.turns) for part in read])
    write_sorted(task.store, task.output, rows, "bucket", batch_rows=1024, compression="none")
    return np.bincount(rows["bucket"].to_numpy(), minlength=len(centroids))


def search(task: Task) -> str:
    """Search a span of buckets; write the directed pairs, sorted by item."""
    pieces = [
        search_bucket(rows, task.search.cosine, task.search.count)
        for rows in _buckets(task.store, task.names, task.low, task.high)
    ]
    write_sorted(task.store, task.output, pa.concat_tables(pieces), "item")
    return task.output


def collect(task: Task) -> str:
    """Gather the pairs of a span of images (by the first byte of their ids); keep the nearest of each."""
    low, high = (None if edge == 256 else bytes([edge]) + bytes(15) for edge in (task.low, task.high))
    read = []
    for name in task.names:
        with open_sorted(task.store, name) as file:
            read.append(file.span(low or bytes(16), high))
    rows = pa.concat_tables(read).combine_chunks()
    ids, number = np.unique(np.concatenate([to_ids(rows["item"]), to_ids(rows["other"])]), return_inverse=True)
    item, other = np.split(number.astype(np.int64), 2)
    best = DirectedPairs(item, other, rows["cosine"].to_numpy()).nearest(task.search.count)
    named = {name: fixed_binary(ids[value], 16) for name, value in (("item", best.item), ("other", best.other))}
    write_sorted(task.store, task.output, pa.table({**named, "cosine": pa.array(best.cosine)}), "item")
    return task.output


def _buckets(store: Store, names: Sequence[str], low: int, high: int) -> Iterator[pa.Table]:
    with ExitStack() as stack:
        files = [stack.enter_context(open_sorted(store, name)) for name in names]
        for bucket in range(low, high):
            yield pa.concat_tables([file.span(bucket, bucket + 1) for file in files])


def joined(pieces: list[VectorSample], count: int, purpose: str) -> VectorSample:
    """Return the sample of several samples."""
    ids, vectors = np.concatenate([p.ids for p in pieces]), np.concatenate([p.vectors for p in pieces])
    return pick(ids, vectors, count, purpose)
