"""Few images among many: what of the others is near one of them, so that no other row is written for a bucket.

Where few images are new, no two others are compared: the rows of those few travel to the parts of the others, and not
the other way round.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Floats, Ints
from curation.dedup.ivf.assign import Visits
from curation.dedup.ivf.grid import least_on_grid
from curation.dedup.ivf.products import products
from curation.dedup.ivf.search import to_vectors

BLOCK = 1024
SHARE, BYTES = 0.1, 256 << 20
"""Up to such a share of all, and so many bytes of vectors, in all turns for all buckets, images are few."""


@dataclass(frozen=True)
class FewRows:
    """The vectors of a few images, in each bucket that they visit."""

    guests: dict[int, Floats]
    """By bucket: those that visit it [n, dim], in each turn in which they do."""
    hosts: list[dict[int, Floats]]
    """For each turn, by bucket: those that are stored there, turned back, as they meet others that visit turned."""

    @classmethod
    def of(cls, rows: pa.Table, turns: Sequence[Ints]) -> "FewRows":
        """Take their rows for buckets."""
        vectors, bucket, visits = to_vectors(rows["vector"]), rows["bucket"].to_numpy(), rows["visits"].to_numpy()
        stored = np.flatnonzero(rows["home"].to_numpy() == bucket)
        guests, places, hosts = list[Floats](), list[Ints](), list[dict[int, Floats]]()
        for bit, turn in enumerate((np.arange(vectors.shape[1]), *turns)):
            visiting = np.flatnonzero(visits & (1 << bit))
            guests.append(vectors[visiting].take(turn, axis=1))
            places.append(bucket[visiting])
            hosts.append(_by_bucket(bucket[stored], vectors[stored].take(np.argsort(turn), axis=1)))
        return cls(_by_bucket(np.concatenate(places), np.concatenate(guests)), hosts)

    def near(self, vectors: Floats, visits: Visits, cosine: float) -> Bools:
        """Return which rows of the visits of others are in a pair of such a cosine with one of the images.

        Whether or not their roles ask for it.
        """
        least, near = least_on_grid(cosine), np.zeros(len(visits.item), dtype=bool)
        stored = visits.home[visits.item] == visits.bucket
        for bucket, rows in _runs(visits.bucket):
            met = [(rows[stored[rows]], self.guests.get(bucket))]
            met += [(rows[visits.turns[rows] >> bit & 1 > 0], few.get(bucket)) for bit, few in enumerate(self.hosts)]
            for some, few in met:
                if few is not None:
                    near[some] |= _meets(vectors[visits.item[some]], few, least)
        return near


def _runs(bucket: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield each bucket with its rows, which stand side by side."""
    buckets, begins = np.unique(bucket, return_index=True)
    yield from zip(buckets.tolist(), np.split(np.arange(len(bucket)), begins[1:]), strict=False)


def _by_bucket(bucket: Ints, vectors: Floats) -> dict[int, Floats]:
    order = np.argsort(bucket, kind="stable")
    return {number: vectors[order[rows]] for number, rows in _runs(bucket[order])}


def _meets(vectors: Floats, few: Floats, least: np.float32) -> Bools:
    """Return which vectors [n, dim] are so near one of the few."""
    near = np.zeros(len(vectors), dtype=bool)
    for start in range(0, len(vectors), BLOCK):
        some = slice(start, start + BLOCK)
        for first in range(0, len(few), BLOCK):
            near[some] |= (products(vectors[some], few[first : first + BLOCK]) >= least).any(axis=1)
    return near


def are_few(new: Bools, turned: float, dim: int) -> bool:
    """Return whether so few images [n] are new that their rows may travel, where each has so many on average."""
    return bool(new.mean() <= SHARE and new.sum() * turned * dim * np.dtype(np.float32).itemsize <= BYTES)
