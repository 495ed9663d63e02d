"""Pairs of images whose perceptual hashes are near in some orientation, searched in many processes.

A pair is evidence that goes to verification, never a verdict: unlike pictures share hashes by chance. Few hashes are
compared with all others; of many, those that share some blocks (hash_tables.py). Both find every pair.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Bools, Bytes, Ints, Words
from curation.arrays.runs import ranks
from curation.dedup.hash_tables import BYTES, ORIENTATIONS, HashTables
from curation.dedup.ivf.assign import fixed_binary
from curation.dedup.ivf.search import fixed_bytes
from shared.stage_runner import Rounds
from shared.storage import Store
from shared.storage.checked import read_table, write_table, write_tables

BLOCK = 4096
"""Images of one piece of work, where all are compared."""
TABLES = 4
"""Tables of one piece of work."""
ASKED = 2_000_000
"""Images that are looked up at once, in 256 bytes each."""
PAIRS = pa.schema([("image", pa.int64()), ("other", pa.int64()), ("distance", pa.int32())])


@dataclass(frozen=True)
class Hashes:
    """Hashes of images, in the order that decides between equal distances."""

    ids: Array
    """The digests [n] of their pixels."""
    numbers: Ints
    """Who they are [n]: no image is paired with itself."""
    read: Callable[[], Bytes]
    """Reads them [n, 64]: they are written to a file at once, and not held while pairs are put together."""

    def where(self, chosen: Bools) -> "Hashes":
        """Return those of a mask."""
        if chosen.all():
            return self
        return Hashes(self.ids[chosen], self.numbers[chosen], lambda: self.read()[chosen])


@dataclass(frozen=True)
class HashWork:
    """A piece of work: some tables, and the images that are looked up in them."""

    url: str
    folder: str
    tables: HashTables
    most: int
    """Pairs of one image, at most; the nearest ones."""
    numbers: range
    """Of the tables."""
    rows: range
    """Of the images that ask."""

    @property
    def file(self) -> str:
        """The file of its pairs."""
        return f"{self.folder}/pairs-{self.numbers.start:08d}-{self.rows.start:012d}.parquet"


def near_hashes(
    rounds: Rounds, name: str, queries: Hashes, stored: Hashes, distance: int, most: int
) -> tuple[Ints, Ints, Ints]:
    """Return (image, other, distance): rows of `queries` in any orientation, of `stored` upright, of other images.

    Each pair stands once, with its smallest distance; of one image the nearest `most`, then the first.
    """
    folder = f"{rounds.folder}/{name}"
    rows = queries.read()
    _write_hashes(rounds.store, f"{folder}/queries.parquet", rows)
    rows = rows if stored is queries else stored.read()
    _write_hashes(rounds.store, f"{folder}/stored.parquet", rows[:, :BYTES])
    del rows  # before pairs are put together
    by, everyone = HashTables.of(distance, len(stored.ids)), range(len(queries.ids))
    tables = _cut(range(by.count), TABLES)
    askers = [everyone] if by.equal else _cut(everyone, BLOCK)
    # Of each image one more: most find themselves.
    work = [HashWork(rounds.store.url, folder, by, most + 1, some, images) for some in tables for images in askers]
    files = sorted(rounds.map(hash_work, work))
    found = _joined(_of_others(read_table(rounds.store, file), queries.numbers, stored.numbers) for file in files)
    return nearest_pairs(*found, most)


def hash_work(work: HashWork) -> str:
    """Do one piece of work; return the name of the file of its pairs."""
    store = Store(work.url)
    queries, stored = (_hashes(store, f"{work.folder}/{side}.parquet") for side in ("queries", "stored"))
    known = _words(stored)[:, 0]
    pieces = (
        piece
        for rows in _cut(work.rows, ASKED)
        for asked in [_words(queries[rows.start : rows.stop]).ravel()]
        for table in work.numbers
        for piece in _in_table(asked, known, rows.start, work, table)
    )
    image, other, distance = nearest_pairs(*_joined(pieces), work.most)
    write_table(store, work.file, pa.table({"image": image, "other": other, "distance": distance}).cast(PAIRS))
    return work.file


def _in_table(asked: Words, stored: Words, first: int, work: HashWork, table: int) -> Iterator[tuple[Ints, Ints, Ints]]:
    for query, other, distance in work.tables.matches(stored, asked, table):
        image = first + query // ORIENTATIONS
        yield nearest_pairs(image, other, distance.astype(np.int64), work.most)


def _of_others(pairs: pa.Table, numbers: Ints, others: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the pairs of two images: most found themselves, and would be most of what is put together."""
    image, other = pairs["image"].to_numpy(), pairs["other"].to_numpy()
    two = numbers[image] != others[other]
    return image[two], other[two], pairs["distance"].to_numpy()[two].astype(np.int64)


def _cut(whole: range, size: int) -> list[range]:
    return [whole[begin : begin + size] for begin in range(0, len(whole), size)]


def _joined(pieces: Iterator[tuple[Ints, Ints, Ints]]) -> tuple[Ints, Ints, Ints]:
    none = np.zeros(0, np.int64)
    image, other, distance = zip((none, none, none), *pieces, strict=True)
    return np.concatenate(image), np.concatenate(other), np.concatenate(distance)


def nearest_pairs(image: Ints, other: Ints, distance: Ints, most: int) -> tuple[Ints, Ints, Ints]:
    """Return each pair once, and of an image the nearest."""
    order = np.lexsort((distance, other, image))
    image, other, distance = image[order], other[order], distance[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(image) != 0) | (np.diff(other) != 0)
    image, other, distance = image[first], other[first], distance[first]
    order = np.lexsort((other, distance, image))
    best = np.sort(order[ranks(image[order]) < most])
    return image[best], other[best], distance[best]


def equal_groups(hashes: Bytes) -> tuple[Ints, Ints]:
    """Return edges (member, first) from each row of hashes [n, 64] to the first one with the same eight.

    A million equal images cost a million edges, not their square; only the first ones go on to other searches. Needs
    16 bytes for each, and more for those that share the first hash.
    """
    upright = np.ascontiguousarray(hashes[:, :BYTES]).view(np.uint64).ravel()
    order = np.argsort(upright, kind="stable")
    same = np.diff(upright[order]) == 0
    some = np.sort(order[np.append(same, False) | np.append(False, same)]) if len(order) else order
    whole = np.ascontiguousarray(hashes[some]).view(f"V{hashes.shape[1]}").ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    leader = some[first][inverse]
    return some[leader != some], leader[leader != some]


def _words(hashes: Bytes) -> Words:
    return np.ascontiguousarray(hashes).view(">u8").astype(np.uint64)


def _write_hashes(store: Store, name: str, hashes: Bytes) -> None:
    width = hashes.shape[1]
    some = (fixed_binary(hashes[begin : begin + ASKED], width) for begin in range(0, len(hashes), ASKED))
    write_tables(store, name, pa.schema([("hashes", pa.binary(width))]), (pa.table({"hashes": each}) for each in some))


def _hashes(store: Store, name: str) -> Bytes:
    column = read_table(store, name)["hashes"]
    return fixed_bytes(column).reshape(-1, column.type.byte_width)
