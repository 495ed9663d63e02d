"""Pairs of images whose perceptual hashes are near in some orientation, searched in many processes.

A pair is evidence that goes to verification, never a verdict: unlike pictures share hashes by chance. Few hashes are
compared with all others (FAISS); of many, those that share some blocks (hash_tables.py). Both find every pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Bytes, Ints
from curation.arrays.runs import ranks
from curation.dedup.hash_index import BYTES, ORIENTATIONS, HashIndex
from curation.dedup.hash_tables import HashTables
from curation.dedup.ivf.assign import fixed_binary
from shared.stage_runner import Rounds
from shared.storage import Store
from shared.storage.checked import parquet_bytes, read_table, with_trailer

FEW = 100_000
"""Up to so many hashes comparing all is cheaper than tables, at a distance of ten bits."""
BLOCK = 4096
TABLES = 16
"""Tables of one piece of work."""
PAIRS = pa.schema([("image", pa.int64()), ("other", pa.int64()), ("distance", pa.int32())])


@dataclass(frozen=True)
class HashWork:
    """A piece of work: some images compared with all, or all images in some tables."""

    url: str
    folder: str
    stored: int
    """How many hashes are stored."""
    distance: int
    most: int
    """Pairs of one image, at most; the nearest ones."""
    begin: int
    end: int

    @property
    def by_tables(self) -> bool:
        """Whether `begin` and `end` are tables, not images."""
        return self.stored > FEW


def near_hashes(
    rounds: Rounds, name: str, queries: Bytes, stored: Bytes, distance: int, most: int
) -> tuple[Ints, Ints, Ints]:
    """Return (image, other, distance): rows of `queries` [n, 64] in any orientation, of `stored` [m, 64] upright.

    Each pair stands once, with its smallest distance; of one image the nearest `most`, then the first.
    """
    folder, count = f"{rounds.folder}/{name}", len(stored)
    for side, rows in (("queries", queries), ("stored", stored[:, :BYTES])):
        table = pa.table({"hashes": fixed_binary(rows, rows.shape[1])})
        _write(rounds.store, f"{folder}/{side}.parquet", table)
    whole = HashWork(rounds.store.url, folder, count, distance, most, 0, 0)
    end, step = (len(HashTables.of(distance, count).keys), TABLES) if whole.by_tables else (len(queries), BLOCK)
    work = [
        HashWork(rounds.store.url, folder, count, distance, most, begin, min(end, begin + step))
        for begin in range(0, end, step)
    ]
    tables = [read_table(rounds.store, file) for file in sorted(rounds.map(hash_work, work))]
    found = pa.concat_tables([PAIRS.empty_table(), *tables])
    return nearest_pairs(found["image"].to_numpy(), found["other"].to_numpy(), found["distance"].to_numpy(), most)


def hash_work(work: HashWork) -> str:
    """Do one piece of work; return the name of the file of its pairs."""
    store = Store(work.url)
    queries, stored = (_hashes(store, f"{work.folder}/{side}.parquet") for side in ("queries", "stored"))
    pieces = _by_tables(queries, stored, work) if work.by_tables else _by_all(queries, stored, work)
    image, other, distance = nearest_pairs(*_joined(pieces), work.most)
    name = f"{work.folder}/pairs-{work.begin:08d}.parquet"
    _write(store, name, pa.table({"image": image, "other": other, "distance": distance}).cast(PAIRS))
    return name


def _by_all(queries: Bytes, stored: Bytes, work: HashWork) -> Iterator[tuple[Ints, Ints, Ints]]:
    index = HashIndex()
    index.add(stored, np.arange(len(stored)))
    distances, others = index.several(queries[work.begin : work.end], min(work.most + 1, len(stored)))
    row, column = np.nonzero((others >= 0) & (distances <= work.distance))
    yield row + work.begin, others[row, column], distances[row, column]


def _by_tables(queries: Bytes, stored: Bytes, work: HashWork) -> Iterator[tuple[Ints, Ints, Ints]]:
    tables = HashTables.of(work.distance, len(stored))
    asked, known = _words(queries).ravel(), _words(stored)[:, 0]
    for table in range(work.begin, work.end):
        for query, other, distance in tables.matches(known, asked, table):
            yield nearest_pairs(query // ORIENTATIONS, other, distance.astype(np.int64), work.most + 1)


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


def equal_groups(keys: Array) -> tuple[Ints, Ints]:
    """Return edges (member, first) from each image to the first one with the same key (pixels digest, eight hashes).

    A million equal images cost a million edges, not their square; only the first ones go on to other searches.
    """
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    leader = first[inverse]
    members = np.flatnonzero(leader != np.arange(len(keys)))
    return members.astype(np.int64), leader[members].astype(np.int64)


def _words(hashes: Bytes) -> Array:
    return np.ascontiguousarray(hashes).view(">u8").astype(np.uint64)


def _write(store: Store, name: str, table: pa.Table) -> None:
    store.write(name, with_trailer(parquet_bytes(table))[0])


def _hashes(store: Store, name: str) -> Bytes:
    column = read_table(store, name)["hashes"]
    data = np.frombuffer(b"".join(column.to_pylist()), np.uint8)
    return data.reshape(-1, column.type.byte_width)
