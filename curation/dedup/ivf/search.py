"""Inside one bucket: the nearest others of every vector above a cosine, by exact inner products."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Array, Bools, Bytes, Floats, Ints
from curation.arrays.runs import ranks
from curation.dedup.ivf.assign import ASKS, ASKS_NEW, NEW, TARGET, fixed_binary
from curation.dedup.ivf.grid import least_on_grid
from curation.dedup.ivf.products import products
from curation.dedup.thumbnail_pairs import may_show
from shared.storage import Store
from shared.storage.sorted_file import open_sorted

BLOCK = 1024
PENDING = 4_000_000
"""DirectedPairs that may wait to be sorted: what bounds memory in a bucket of near-copies."""

FOUND = pa.schema(
    [
        ("item", pa.binary(16)),
        ("other", pa.binary(16)),
        ("cosine", pa.float32()),
        ("shown", pa.bool_()),
        ("bucket", pa.int32()),
        ("guest_home", pa.int32()),
    ]
)
"""Pairs that were found, in which bucket, and the home of the one that visits it, or the same bucket where none does.

`shown` is null until their thumbnails are compared.
"""


def read_found(store: Store, names: Sequence[str], low: bytes = bytes(16), high: bytes | None = None) -> pa.Table:
    """Return the pairs of some files, rows of FOUND sorted by item in each: all, or those of items from low to high."""
    tables = [FOUND.empty_table()]
    for name in names:
        with open_sorted(store, name) as file:
            tables.append(file.span(low, high))
    return pa.concat_tables(tables)


@dataclass(frozen=True)
class DirectedPairs:
    """Directed pairs as columns: an item, one of its nearest others, and their cosine."""

    item: Ints
    other: Ints
    cosine: Floats

    @classmethod
    def join(cls, pieces: "list[DirectedPairs]") -> "DirectedPairs":
        """Return all pairs of the pieces."""
        none = np.zeros(0, np.int64)
        item, other = (np.concatenate([none, *(getattr(p, name) for p in pieces)]) for name in ("item", "other"))
        return cls(item, other, np.concatenate([none.astype(np.float32), *(p.cosine for p in pieces)]))

    def nearest_rows(self, count: int) -> Ints:
        """Return each item's best pairs, at most so many, each other once: higher cosine first, then smaller number."""
        order = np.lexsort((self.other, -self.cosine, self.item))
        item, other = self.item[order], self.other[order]
        again = np.zeros(len(order), dtype=bool)
        by_pair = np.lexsort((np.arange(len(order)), other, item))
        again[by_pair[1:]] = (np.diff(item[by_pair]) == 0) & (np.diff(other[by_pair]) == 0)
        order, item = order[~again], item[~again]
        return order[ranks(item) < count]

    def nearest(self, count: int) -> "DirectedPairs":
        """Return those pairs."""
        best = self.nearest_rows(count)
        return DirectedPairs(self.item[best], self.other[best], self.cosine[best])


def search_bucket(rows: pa.Table, cosine: float, count: int, turns: Sequence[Ints] = ()) -> pa.Table:
    """Return the directed pairs of one bucket, rows of FOUND: the `count` nearest of each that asks.

    Stored vectors meet each other and all visitors; what both only visit meets elsewhere or not at all.
    Memory: 4·dim bytes a row, and PENDING neighbours.
    """
    images, number = np.unique(to_ids(rows["image_id"]), return_inverse=True)
    here, home = rows["bucket"][0].as_py(), rows["home"].to_numpy()
    bucket = _Bucket(
        to_vectors(rows["vector"]),
        number.astype(np.int64),
        rows["role"].to_numpy(),
        rows["floor"].to_numpy(),
        rows["visits"].to_numpy(),
        home == here,
    )
    best = bucket.pairs(least_on_grid(cosine), count, turns)
    ids, homes = images.view(np.uint8).reshape(-1, 16), np.empty(len(images), np.int32)
    homes[number] = home
    guest_home = np.where(homes[best.item] != here, homes[best.item], homes[best.other])
    return pa.table(
        {
            "item": fixed_binary(ids[best.item], 16),
            "other": fixed_binary(ids[best.other], 16),
            "cosine": pa.array(best.cosine),
            "shown": pa.nulls(len(best.item), pa.bool_()),
            "bucket": pa.array(np.full(len(best.item), here), pa.int32()),
            "guest_home": pa.array(guest_home),
        },
        schema=FOUND,
    )


@dataclass(frozen=True)
class _Bucket:
    """The rows of a bucket."""

    vectors: Floats
    number: Ints
    """Of the image of each."""
    roles: Array
    floors: Floats
    visits: Ints
    stored: Bools

    def pairs(self, least: np.float32, count: int, turns: Sequence[Ints]) -> DirectedPairs:
        """Compare the rows, in every turn in which they visit, with those that are stored."""
        best, stored = _Best(count), np.flatnonzero(self.stored)
        for bit, turn in enumerate((None, *turns)):
            visiting = np.flatnonzero(self.visits & (1 << bit))
            for role in np.unique(self.roles[visiting]):
                guests, theirs = visiting[self.roles[visiting] == role], self.roles[stored]
                hosts = stored[_wanted(role, theirs) | _wanted(theirs, role)]
                for guest, host, cosine in self._near(guests, hosts, turn, least):
                    # As they are, two that are stored here meet twice.
                    new = (guest > host) | (bit > 0) | ~self.stored[guest]
                    self._add(best, guest[new], host[new], cosine[new])
                    self._add(best, host[new], guest[new], cosine[new])
        return best.pairs()

    def _near(
        self, guests: Ints, hosts: Ints, turn: Ints | None, least: np.float32
    ) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Compare block by block; the fewer of the two are turned, or turned back."""
        for start in range(0, len(guests), BLOCK):
            for first in range(0, len(hosts), BLOCK):
                one, other = guests[start : start + BLOCK], hosts[first : first + BLOCK]
                ours, theirs = self.vectors[one], self.vectors[other]
                if turn is not None and len(one) < len(other):
                    ours = ours.take(turn, axis=1)  # a quarter of the time of ours[:, turn]
                elif turn is not None:
                    theirs = theirs.take(np.argsort(turn), axis=1)
                scores = products(ours, theirs).ravel()
                place = np.flatnonzero(scores >= least)
                row, column = np.divmod(place, len(other))
                yield one[row], other[column], scores[place]

    def _add(self, best: "_Best", asking: Ints, target: Ints, cosine: Floats) -> None:
        use = _wanted(self.roles[asking], self.roles[target]) & (cosine >= self.floors[asking])
        best.add(self.number[asking[use]], self.number[target[use]], cosine[use])


def _wanted(asking: Array, target: Array) -> Bools:
    """Return whether an image with the one role wants one with the other for a neighbour."""
    among_all = ((asking & ASKS) > 0) & ((target & TARGET) > 0)
    return np.asarray(among_all | (((asking & ASKS_NEW) > 0) & ((target & NEW) > 0)))


class _Best:
    """The nearest others of each item, of pairs that come in pieces."""

    def __init__(self, count: int) -> None:
        self.count, self.waiting, self.pending = count, [DirectedPairs.join([])], 0

    def add(self, item: Ints, other: Ints, cosine: Floats) -> None:
        """Take pairs; those of an image with itself are none."""
        new = item != other
        self.waiting.append(DirectedPairs(item[new], other[new], cosine[new]))
        self.pending += len(item)
        if self.pending > PENDING:
            self.waiting, self.pending = [self.pairs()], 0

    def pairs(self) -> DirectedPairs:
        """Return the nearest of all that was taken."""
        return DirectedPairs.join(self.waiting).nearest(self.count)


def shown_in_bucket(pairs: pa.Table, rows: pa.Table) -> pa.Table:
    """Return pairs of one bucket with `shown`: whether the thumbnails of its rows may show one picture.

    Each unordered pair is compared once.
    """
    thumbnails = fixed_bytes(rows["thumbnail"]).reshape(len(rows), -1)
    ids = rows["image_id"].combine_chunks()
    sides = [pc.index_in(pairs[side], ids).to_numpy() for side in ("item", "other")]
    couples, again = np.unique(np.sort(np.stack(sides, axis=1), axis=1), axis=0, return_inverse=True)
    shown = may_show(thumbnails, couples)[again.ravel()]
    return pairs.set_column(pairs.column_names.index("shown"), "shown", pa.array(shown))


def to_ids(column: pa.ChunkedArray) -> Array:
    """Return digests as an array of 16 opaque bytes each, which sort as bytes do."""
    return fixed_bytes(column).view(np.dtype("V16"))


def to_vectors(column: pa.ChunkedArray) -> Floats:
    """Return vectors [n, dim] of a column of float16 bytes."""
    return fixed_bytes(column).view(np.float16).reshape(-1, column.type.byte_width // 2).astype(np.float32)


def fixed_bytes(column: pa.ChunkedArray) -> Bytes:
    """Return the bytes of rows of a fixed width, one after the other."""
    joined, width = pa.concat_arrays([pa.array([], column.type), *column.chunks]), column.type.byte_width
    data = np.frombuffer(joined.buffers()[1], np.uint8)
    return data[joined.offset * width : (joined.offset + len(joined)) * width]
