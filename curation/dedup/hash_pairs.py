"""Pairs of images whose perceptual hashes are near in some orientation, searched in many processes.

A pair is evidence that goes to verification, never a verdict: unlike pictures share hashes by chance. Few hashes are
compared with all others; of many, those that share some blocks (hash_tables.py). Both find every pair.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Bytes, Ints, Words
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
ReadHashes = Callable[[], Bytes]
"""Reads hashes [n, 64]: they are written to a file at once, and not held while pairs are told."""


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
    rounds: Rounds, name: str, queries: ReadHashes, stored: ReadHashes, distance: int, most: int
) -> tuple[Ints, Ints, Ints]:
    """Return (image, other, distance): rows of `queries` [n, 64] in any orientation, of `stored` [m, 64] upright.

    Each pair stands once, with its smallest distance; of one image the nearest `most`, then the first.
    """
    folder = f"{rounds.folder}/{name}"
    asking = _write_hashes(rounds.store, f"{folder}/queries.parquet", queries())
    count = _write_hashes(rounds.store, f"{folder}/stored.parquet", stored()[:, :BYTES])
    by, everyone = HashTables.of(distance, count), range(asking)
    tables = _cut(range(by.count), TABLES)
    askers = [everyone] if by.equal else _cut(everyone, BLOCK)
    work = [HashWork(rounds.store.url, folder, by, most, some, images) for some in tables for images in askers]
    made = [read_table(rounds.store, file) for file in sorted(rounds.map(hash_work, work))]
    found = pa.concat_tables([PAIRS.empty_table(), *made])
    return nearest_pairs(found["image"].to_numpy(), found["other"].to_numpy(), found["distance"].to_numpy(), most)


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
        yield nearest_pairs(image, other, distance.astype(np.int64), work.most + 1)


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


def _write_hashes(store: Store, name: str, hashes: Bytes) -> int:
    """Write hashes; return how many they are."""
    width = hashes.shape[1]
    some = (fixed_binary(hashes[begin : begin + ASKED], width) for begin in range(0, len(hashes), ASKED))
    write_tables(store, name, pa.schema([("hashes", pa.binary(width))]), (pa.table({"hashes": each}) for each in some))
    return len(hashes)


def _hashes(store: Store, name: str) -> Bytes:
    column = read_table(store, name)["hashes"]
    return fixed_bytes(column).reshape(-1, column.type.byte_width)
