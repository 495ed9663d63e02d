"""All pairs of 64-bit hashes within a Hamming distance, by exact matches of blocks.

The hash is cut into r + t blocks. r differing bits spoil at most r of them, so at least t are equal: two hashes
within r meet in one of the C(r + t, t) tables whose key is t of the blocks (Manku, Jain and Das Sarma, "Detecting
near-duplicates for web crawling", 2007). A pair is told only in the first table in which it meets: no pass to remove
doubles. Tables are pieces of work. Of many hashes a task holds those of a span of values of the first `shared` blocks
of a key: tables whose keys begin alike read one copy of all hashes, sorted by these blocks (hash_files.py).

Those that meet are compared by FAISS, which takes half a nanosecond for a pair: so keys are short, and tables few.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, groupby, pairwise
from math import ceil, comb

import faiss
import numpy as np

from curation.arrays import Array, Ints, Words

BITS, BYTES, ORIENTATIONS = 64, 8, 8
ASKED, STORED = 12_000_000, 4_000_000
"""Hashes that are looked up at once, and in which: 48 bytes each, .75 GiB with their places and in the order of a key.

Less would cost more: each sorted file is opened for each span of values, so that opening grows with the square of the
hashes over these. In their ratio images fill a task that ask and are stored; of other sides chunks follow each other.
"""
FILE_ROWS = 8_000_000
"""Hashes of a sorted file: who writes it holds 100 bytes of each."""
PENDING = 1_000_000
"""Pairs that are compared at once, and pairs within the distance that are held before they are told."""
MOST_EQUAL, MOST_BLOCKS = 8, 20
"""Blocks of a key, and all blocks: a number is held for each set of them."""
COMPARED_NS, SORTED_NS, GROUP_NS = 0.5, 60, 25_000
"""What comparing a pair takes, sorting a hash by its key, and the call for the hashes of one key."""
COPIED_NS, OPENED_NS = 250, 2e6
"""What a hash takes to be written to a sorted file and read again, and a span of such a file to be found."""


def ball(distance: int) -> int:
    """Return how many hashes lie within a distance of one."""
    return sum(comb(BITS, bits) for bits in range(distance + 1))


@dataclass(frozen=True)
class HashTables:
    """The tables for a distance r: `equal` of the r + `equal` blocks are a key."""

    distance: int
    equal: int
    shared: int = 0
    """Blocks of a key by which hashes are exchanged; without one each task reads all that are stored."""

    @classmethod
    def of(cls, distance: int, asking: int, stored: int) -> "HashTables":
        """Return the cheapest for so many images; with no equal block one table compares all."""
        several = range(1, min(MOST_EQUAL, MOST_BLOCKS - distance) + 1)
        ways = [cls(distance, equal, shared) for equal in (0, *several) for shared in range(equal + 1)]
        return min(ways, key=lambda one: one.nanoseconds(asking, stored))

    def nanoseconds(self, asking: int, stored: int) -> float:
        """Return about what it takes to look up so many images, in eight orientations, among those that are stored."""
        width = BITS / max(1, self.distance + self.equal)
        keys, values = 2.0 ** (width * self.equal), 2.0 ** (width * self.shared)
        asked = float(asking * ORIENTATIONS)
        # Where those of one value are several chunks, each of either side is sorted anew for each of the other.
        chunks, others = max(1.0, asked / values / ASKED), max(1.0, stored / values / STORED)
        compared, sorted_ = asked * stored / keys * COMPARED_NS, (asked * others + stored * chunks) * SORTED_NS
        grouped = chunks * others * min(keys, stored) * GROUP_NS
        exchanged = self._exchanging(asking, stored) if self.shared else 0.0
        return float(self.count * (compared + sorted_ + grouped) + exchanged)

    def _exchanging(self, asking: int, stored: int) -> float:
        """Return about what copies take: each of their files is opened for each span."""
        rows = asking * ORIENTATIONS + stored
        return self.copies * (rows * COPIED_NS + rows / FILE_ROWS * spans(asking, stored) * OPENED_NS)

    @property
    def count(self) -> int:
        """How many tables they are."""
        return comb(self.distance + self.equal, self.equal)

    @property
    def copies(self) -> int:
        """How many sets of blocks begin a key."""
        return comb(self.distance + self.shared, self.shared)

    def __reduce__(self) -> tuple[type, tuple[int, int, int]]:
        """Return what travels: what is derived does not."""
        return HashTables, (self.distance, self.equal, self.shared)

    @cached_property
    def blocks(self) -> Words:
        """The bits of each block, as masks."""
        edges = np.linspace(0, BITS, self.distance + self.equal + 1).round().astype(int)
        return np.array([(1 << high) - (1 << low) for low, high in pairwise(edges.tolist())], np.uint64)

    @cached_property
    def keys(self) -> list[tuple[int, ...]]:
        """The blocks that make each table's key."""
        return list(combinations(range(len(self.blocks)), self.equal))

    @cached_property
    def alike(self) -> list[range]:
        """The tables whose keys begin with the same shared blocks: they follow each other."""
        runs = groupby(range(self.count), lambda table: self.keys[table][: self.shared])
        starts = [next(run) for _, run in runs]
        return [range(begin, end) for begin, end in pairwise([*starts, self.count])]

    def key(self, hashes: Words, table: int, first: int | None = None) -> Words:
        """Return the key [n] of each hash: its bits in the table's blocks, or the first ones, side by side."""
        key = np.zeros(hashes.shape, np.uint64)
        for block in self.keys[table][:first]:
            mask = int(self.blocks[block])
            shift = (mask & -mask).bit_length() - 1
            key <<= np.uint64(mask.bit_count() % BITS)  # of one block alone nothing is there to shift
            key |= (hashes & np.uint64(mask)) >> np.uint64(shift)
        return key

    def matches(self, stored: Words, queries: Words, table: int) -> Iterator[tuple[Ints, Ints, Array]]:
        """Yield (query, stored, distance) of the pairs that meet here first, some PENDING at a time."""
        known, asked = (_Groups.of(self.key(hashes, table), hashes) for hashes in (stored, queries))
        index, held, count = faiss.IndexBinaryFlat(BITS), list[tuple[Ints, Ints, Array]](), 0
        _, ours, theirs = np.intersect1d(known.keys, asked.keys, assume_unique=True, return_indices=True)
        for group, askers in zip(ours.tolist(), theirs.tolist(), strict=True):
            begin, end = known.edges[group : group + 2].tolist()
            index.reset()
            index.add(known.hashes[begin:end])
            first, last = asked.edges[askers : askers + 2].tolist()
            step = max(1, PENDING // (end - begin))
            for at in range(first, last, step):
                limits, apart, others = index.range_search(asked.hashes[at : min(last, at + step)], self.distance + 1)
                if len(others):
                    edges = limits.astype(np.int64)
                    query = asked.order[at + np.repeat(np.arange(len(edges) - 1), edges[1:] - edges[:-1])]
                    held.append((query, known.order[begin + others], apart))
                    count += len(query)
                if count > PENDING:
                    yield self._told(held, stored, queries, table)
                    held, count = [], 0
        if held:
            yield self._told(held, stored, queries, table)

    def _told(
        self, held: list[tuple[Ints, Ints, Array]], stored: Words, queries: Words, table: int
    ) -> tuple[Ints, Ints, Array]:
        """Return the pairs that meet in no table before this one."""
        query, other, distance = (np.concatenate(column) for column in zip(*held, strict=True))
        here = self._first(queries[query] ^ stored[other]) == table
        return query[here], other[here], distance[here].astype(np.uint8)

    def _first(self, differing: Words) -> Ints:
        """Return the first table in which each pair meets: that of its first equal blocks."""
        if not self.equal:
            return np.zeros(len(differing), np.int64)
        chosen, left = np.zeros(len(differing), np.int64), np.full(len(differing), self.equal, np.int8)
        for i, block in enumerate(self.blocks):
            same = ((differing & block) == 0) & (left > 0)
            chosen |= same.astype(np.int64) << i
            left -= same
        number = np.full(1 << len(self.blocks), -1, np.int64)
        number[[sum(1 << block for block in key) for key in self.keys]] = np.arange(len(self.keys))
        return np.asarray(number[chosen])


def spans(asking: int, stored: int) -> int:
    """Return into how many spans of values the hashes of so many images are cut: a quarter of a chunk stays free."""
    return max(1, ceil(max(asking * ORIENTATIONS / ASKED, stored / STORED) / 0.75))


@dataclass(frozen=True)
class _Groups:
    """Hashes in the order of their keys."""

    keys: Words
    edges: Ints
    """Where the hashes of each key begin, and the end."""
    order: Ints
    hashes: Array
    """As bytes [n, 8]."""

    @classmethod
    def of(cls, keys: Words, hashes: Words) -> "_Groups":
        """Sort hashes by their keys, which are changed in place: there may be many."""
        low, high = (keys.min(), keys.max()) if len(keys) else (np.uint64(0), np.uint64(0))
        keys -= low
        short = keys if (high - low) >> np.uint64(16) else keys.astype(np.uint16)  # sorted by radix, ten times faster
        order = np.argsort(short, kind="stable")
        short = short[order]
        first = np.flatnonzero(np.diff(short, prepend=short[:1] + 1))
        return cls(
            short[first].astype(np.uint64) + low,
            np.append(first, len(short)),
            order,
            hashes[order].view(np.uint8).reshape(-1, BYTES),
        )
