"""Pairs of images whose perceptual hashes are near in some orientation, searched in many processes.

A pair is evidence that goes to verification, never a verdict: unlike pictures share hashes by chance. Few hashes are
compared with all others; of many, those that share some blocks (hash_tables.py). Both find every pair.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Ints, Words
from curation.arrays.runs import ranks
from curation.dedup.hash_files import HashCopies, Hashes, HashFiles, copy_hashes, cut, cut_values, write_sides
from curation.dedup.hash_tables import ASKED, BYTES, ORIENTATIONS, PENDING, STORED, HashTables, spans
from curation.dedup.sorted_ids import not_alone
from shared.stage_runner import Rounds
from shared.storage import Store
from shared.storage.checked import read_table, write_tables

BLOCK = 4096
"""Images of one piece of work, where all are compared."""
TABLES = 4
"""Tables of one piece of work, where hashes are not exchanged."""
COPIES = 7
"""Copies of the hashes that lie on the disk at once: those of distance 6, up to some hundred million images."""
PAIRS = pa.schema([("image", pa.int64()), ("other", pa.int64()), ("distance", pa.int32())])


@dataclass(frozen=True)
class HashWork:
    """A piece of work: some tables, and some of the hashes that are looked up in them."""

    folder: str
    """Of the pairs."""
    tables: HashTables
    most: int
    """Pairs of one image, at most; the nearest ones."""
    queries: HashFiles
    stored: HashFiles
    numbers: range
    """Of the tables."""
    piece: int = 0
    """Of those that have these tables."""

    @property
    def file(self) -> str:
        """The file of its pairs."""
        return f"{self.folder}/pairs-{self.numbers.start:08d}-{self.piece:06d}.parquet"

    def pairs(self) -> Iterator[tuple[Ints, Ints, Ints]]:
        """Yield (image, other, distance): hashes that may be held at once against others that may."""
        for asked, images in self.queries.chunks(ASKED):
            for known, others in self.stored.chunks(STORED):
                for table in self.numbers:
                    for query, other, distance in self.tables.matches(known, asked, table):
                        yield images[query], others[other], distance.astype(np.int64)


def near_hashes(
    rounds: Rounds, name: str, queries: Hashes, stored: Hashes, distance: int, most: int
) -> tuple[Ints, Ints, Ints]:
    """Return (image, other, distance): rows of `queries` in any orientation, of `stored` upright, of other images.

    Each pair stands once, with its smallest distance; of one image the nearest `most`, then the first.
    """
    folder, images = f"{rounds.folder}/{name}", (len(queries), len(stored))
    by = HashTables.of(distance, *images)
    asked, known, sample = write_sides(rounds.store, folder, queries, stored)
    # Of each image one more: most find themselves.
    whole = HashWork(folder, by, most + 1, asked, known, range(by.count))
    names = _exchanged(rounds, whole, sample, spans(*images)) if by.shared else _plain(rounds, whole, images[0])
    pairs = (read_table(rounds.store, file) for file in sorted(names))
    found = _joined(_of_others(some, queries.numbers, stored.numbers) for some in pairs)
    rounds.store.delete(folder)
    return nearest_pairs(*found, most)


def _plain(rounds: Rounds, whole: HashWork, images: int) -> Iterable[str]:
    """Do it in pieces that read all hashes that are stored: for some images and tables; return the files of pairs."""
    asked = whole.queries.groups
    if not whole.tables.equal:
        asked = [replace(whole.queries, low=begin, high=begin + BLOCK) for begin in range(0, images, BLOCK)]
    pieces = [
        replace(whole, queries=some, numbers=tables, piece=piece)
        for tables in cut(whole.numbers, TABLES)
        for piece, some in enumerate(asked)
    ]
    return rounds.map(hash_work, pieces)


def _exchanged(rounds: Rounds, whole: HashWork, sample: Words, count: int) -> Iterator[str]:
    """Do it in pieces that read a span of the values of a copy, cut into so many; yield the files of pairs."""
    sides = (whole.queries, whole.stored)
    for sets in cut(range(whole.tables.copies), COPIES):
        written = [HashCopies(some, i, whole.tables, sets) for side in sides for i, some in enumerate(side.groups)]
        list(rounds.map(copy_hashes, written))
        pieces, alike = list[HashWork](), whole.tables.alike[sets.start : sets.stop]
        for tables in alike:
            for piece, span in enumerate(cut_values(sample, whole.tables, tables.start, count)):
                queries, stored = (side.copied(tables.start, *span) for side in sides)
                pieces.append(replace(whole, queries=queries, stored=stored, numbers=tables, piece=piece))
        yield from rounds.map(hash_work, pieces)
        for side in sides:
            for tables in alike:
                rounds.store.delete(side.copied(tables.start).folder)


def hash_work(work: HashWork) -> str:
    """Do one piece of work; return the name of the file of its pairs."""
    tables = (
        pa.table({"image": image, "other": other, "distance": distance}).cast(PAIRS)
        for image, other, distance in _nearest(work.pairs(), work.most)
    )
    write_tables(Store(work.queries.url), work.file, PAIRS, tables)
    return work.file


def _nearest(pieces: Iterator[tuple[Ints, Ints, Ints]], most: int) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Yield the nearest of each image in all pieces, or in some of them where too many pairs are the nearest."""
    held, count = list[tuple[Ints, Ints, Ints]](), 0
    for piece in pieces:
        held.append(piece)
        count += len(piece[0])
        if count > PENDING:
            held = [nearest_pairs(*_joined(held), most)]
            count = len(held[0][0])
            if count > PENDING // 2:
                yield held.pop()
                count = 0
    yield nearest_pairs(*_joined(held), most)


def _of_others(pairs: pa.Table, numbers: Array, others: Array) -> tuple[Ints, Ints, Ints]:
    """Return the pairs of two images: most found themselves, and would be most of what is put together."""
    image, other = pairs["image"].to_numpy(), pairs["other"].to_numpy()
    two = numbers[image] != others[other]
    return image[two], other[two], pairs["distance"].to_numpy()[two].astype(np.int64)


def _joined(pieces: Iterable[tuple[Ints, Ints, Ints]]) -> tuple[Ints, Ints, Ints]:
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


def equal_groups(hashes: Hashes) -> tuple[Ints, Ints]:
    """Return edges (member, first) from each row of hashes to the first one with the same eight.

    A million equal images cost a million edges, not their square; only the first ones go on to other searches. Needs
    24 bytes for each, and more for those that share the first hash.
    """
    upright = np.empty(len(hashes), np.uint64)
    for places, rows in hashes.read():
        upright[places] = np.ascontiguousarray(rows[:, :BYTES]).view(np.uint64).ravel()
    shared = not_alone(upright)
    some = np.flatnonzero(shared)
    whole = np.empty((len(some), ORIENTATIONS * BYTES), np.uint8)
    for places, rows in hashes.where(shared).read() if len(some) else ():
        whole[places] = rows
    _, first, inverse = np.unique(whole.view(f"V{whole.shape[1]}").ravel(), return_index=True, return_inverse=True)
    leader = some[first][inverse]
    return some[leader != some], leader[leader != some]
