"""All pairs of 64-bit hashes within a Hamming distance, by exact matches of blocks.

The hash is cut into r + t blocks. r differing bits spoil at most r of them, so at least t are equal: two hashes
within r meet in one of the C(r + t, t) tables whose key is t of the blocks (Manku, Jain and Das Sarma, "Detecting
near-duplicates for web crawling", 2007). A pair is told only in the first table in which it meets: no pass to remove
doubles. Tables are pieces of work: each task does some, and for them reads and holds all hashes, 64 bytes of an image
that asks and 8 of one that is stored. At 100 million images that is some 7 GB a task. A table's matches are joins on
equality, so an exchange on (table, key) could cut that; there is none.

Those that meet are compared by FAISS, which takes half a nanosecond for a pair: so keys are short, and tables few.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from math import comb

import faiss
import numpy as np

from curation.arrays import Array, Ints, Words

BITS, BYTES, ORIENTATIONS = 64, 8, 8
PENDING = 2_000_000
"""Pairs that are compared at once, and pairs within the distance that are held before they are told."""
MOST_EQUAL, MOST_BLOCKS = 8, 20
"""Blocks of a key, and all blocks: a number is held for each set of them."""
COMPARED_NS, SORTED_NS, GROUP_NS = 0.5, 60, 25_000
"""What comparing a pair takes, sorting a hash by its key, and the call for the hashes of one key."""


def ball(distance: int) -> int:
    """Return how many hashes lie within a distance of one."""
    return sum(comb(BITS, bits) for bits in range(distance + 1))


@dataclass(frozen=True)
class HashTables:
    """The tables for a distance r: `equal` of the r + `equal` blocks are a key."""

    distance: int
    equal: int

    @classmethod
    def of(cls, distance: int, hashes: int) -> "HashTables":
        """Return the cheapest for so many hashes; with no equal block one table compares all."""
        several = range(1, min(MOST_EQUAL, MOST_BLOCKS - distance) + 1)
        return min((cls(distance, equal) for equal in (0, *several)), key=lambda one: one.nanoseconds(hashes))

    def nanoseconds(self, hashes: int) -> float:
        """Return about what it takes to compare so many hashes, in eight orientations, with each other."""
        keys = 2.0 ** (BITS * self.equal / (self.distance + self.equal)) if self.equal else 1.0
        asked = float(hashes * ORIENTATIONS)
        compared, sorted_ = asked * hashes / keys * COMPARED_NS, (asked + hashes) * SORTED_NS
        return self.count * (compared + sorted_ + min(keys, hashes) * GROUP_NS)

    @property
    def count(self) -> int:
        """How many tables they are."""
        return comb(self.distance + self.equal, self.equal)

    @cached_property
    def blocks(self) -> Words:
        """The bits of each block, as masks."""
        edges = np.linspace(0, BITS, self.distance + self.equal + 1).round().astype(int)
        return np.array([(1 << high) - (1 << low) for low, high in pairwise(edges.tolist())], np.uint64)

    @cached_property
    def keys(self) -> list[tuple[int, ...]]:
        """The blocks that make each table's key."""
        return list(combinations(range(len(self.blocks)), self.equal))

    def key(self, hashes: Words, table: int) -> Words:
        """Return the key [n] of each hash: its bits in the table's blocks, side by side."""
        key = np.zeros(hashes.shape, np.uint64)
        for block in self.keys[table]:
            mask = int(self.blocks[block])
            shift = (mask & -mask).bit_length() - 1
            width = mask.bit_count()
            key = (key << np.uint64(width)) | ((hashes & np.uint64(mask)) >> np.uint64(shift))
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
        same = (differing[:, None] & self.blocks) == 0
        chosen = same & (np.cumsum(same, axis=1) <= self.equal)
        powers = 1 << np.arange(len(self.blocks))
        number = np.full(1 << len(self.blocks), -1, np.int64)
        number[[sum(1 << block for block in key) for key in self.keys]] = np.arange(len(self.keys))
        return np.asarray(number[chosen @ powers])


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
        short = keys if (keys >> np.uint64(16)).any() else keys.astype(np.uint16)  # sorted by radix, ten times faster
        order = np.argsort(short, kind="stable")
        distinct, first = np.unique(short[order], return_index=True)
        return cls(
            distinct.astype(np.uint64),
            np.append(first, len(keys)),
            order,
            hashes[order].view(np.uint8).reshape(-1, BYTES),
        )
