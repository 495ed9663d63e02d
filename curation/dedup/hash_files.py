"""Hashes on storage: once by image, and where they are exchanged once for each set of blocks that begins a key.

A copy is sorted by these blocks, so that a task reads only a span of their values. A row is one hash; of an image that
asks there are eight, one for each orientation.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Bools, Bytes, Ints, Words
from curation.dedup.hash_tables import BYTES, FILE_ROWS, ORIENTATIONS, HashTables
from shared.storage import Store
from shared.storage.sorted_file import open_sorted, write_sorted

IMAGES = 125_000
"""Images whose hashes are written together at first, by one process for all."""
GROUP_ROWS = 16_384
"""Rows of a file that are read together: at some hundred million images a span of a file is as long."""
SAMPLE = 1_000_000
"""Hashes, about, by which values are cut into spans: some thousand of each span at a billion images."""


@dataclass(frozen=True)
class Hashes:
    """Hashes of images, in the order that decides between equal distances."""

    ids: Callable[[], Array]
    """Returns the digests [n] of their pixels, which few need and nobody for long."""
    numbers: Array
    """Who they are [n]: no image is paired with itself."""
    read: Callable[[], Iterator[tuple[Ints, Bytes]]]
    """Reads places [m] among them and hashes [m, 64], some at a time and each once: they are never held all at once."""

    def __len__(self) -> int:
        return len(self.numbers)

    def where(self, chosen: Bools) -> "Hashes":
        """Return those of a mask."""
        if chosen.all():
            return self
        return Hashes(lambda: self.ids()[chosen], self.numbers[chosen], lambda: self._chosen(chosen))

    def _chosen(self, chosen: Bools) -> Iterator[tuple[Ints, Bytes]]:
        places = np.cumsum(chosen) - 1
        for each, rows in self.read():
            inside = chosen[each]
            yield places[each[inside]], rows[inside]


@dataclass(frozen=True)
class HashFiles:
    """Some of the numbered files of a folder, and of each a span of what it is sorted by: places, or values."""

    url: str
    folder: str
    turns: int
    """Hashes of an image, each a row with the place of the image."""
    numbers: range
    low: int = 0
    high: int | None = None

    def chunks(self, most: int) -> Iterator[tuple[Words, Ints]]:
        """Return hashes [m] and places [m] of their images, so many at a time; what one file has more is held, too."""
        return _regrouped(map(self._read, self.numbers), most)

    def _read(self, number: int) -> tuple[Words, Ints]:
        with open_sorted(Store(self.url), _file(self.folder, number)) as file:
            rows = file.span(self.low, self.high)
        return np.array(rows["hash"].to_numpy()), np.array(rows["place"].to_numpy())  # views hold row groups whole

    @property
    def groups(self) -> "list[HashFiles]":
        """As many files each as make FILE_ROWS together, of those that were written at first."""
        return [replace(self, numbers=some) for some in cut(self.numbers, FILE_ROWS // (IMAGES * self.turns))]

    def copied(self, table: int, low: int = 0, high: int | None = None) -> "HashFiles":
        """Return the copy for a table and those after it."""
        folder = f"{self.folder}-{table:08d}"
        return HashFiles(self.url, folder, self.turns, range(len(self.groups)), low, high)


@dataclass(frozen=True)
class HashCopies:
    """A piece of work: files that are copied into one for each of some sets of shared blocks."""

    files: HashFiles
    number: int
    """Of the file that is written of each copy."""
    tables: HashTables
    sets: range


def copy_hashes(work: HashCopies) -> int:
    """Write a file of each copy, sorted by the shared blocks; return its number."""
    ((hashes, places),) = work.files.chunks(FILE_ROWS)
    for alike in work.tables.alike[work.sets.start : work.sets.stop]:
        values = work.tables.key(hashes, alike.start, work.tables.shared)
        rows = pa.table({"value": values, "hash": hashes, "place": places})
        name = _file(work.files.copied(alike.start).folder, work.number)
        write_sorted(Store(work.files.url), name, rows, "value", GROUP_ROWS)
    return work.number


def write_sides(store: Store, folder: str, queries: Hashes, stored: Hashes) -> tuple[HashFiles, HashFiles, Words]:
    """Write the hashes of those who ask, in all orientations, and of those who are stored; return a sample with them.

    Those of one set are read once for both.
    """
    sides = [(f"{folder}/queries", ORIENTATIONS), (f"{folder}/stored", 1)]
    one_of = (ORIENTATIONS * len(queries) + len(stored)) // SAMPLE | 1  # odd: hashes of all orientations
    files, sample = list[HashFiles](), [np.zeros(0, np.uint64)]
    for hashes, some in [(queries, sides)] if stored is queries else [(queries, sides[:1]), (stored, sides[1:])]:
        count = 0
        for places, rows in _regrouped(hashes.read(), IMAGES):
            for name, turns in some:
                words = np.ascontiguousarray(rows[:, : turns * BYTES]).view(">u8").astype(np.uint64).ravel()
                written = pa.table({"hash": words, "place": np.repeat(places, turns)})
                write_sorted(store, _file(name, count), written, "place", GROUP_ROWS)
                sample.append(words[::one_of].copy())  # a view would keep the hashes of all images
            count += 1
        files += [HashFiles(store.url, name, turns, range(count)) for name, turns in some]
    return files[0], files[1], np.concatenate(sample)


def cut_values(sample: Words, tables: HashTables, table: int, count: int) -> list[tuple[int, int | None]]:
    """Return so many spans of values of a copy, with about equal numbers of hashes by a sample of them.

    There are fewer where there are fewer values: what one has is not cut.
    """
    values = np.sort(tables.key(sample, table, tables.shared))
    edges: list[int] = np.unique(values[:: max(1, -(-len(values) // count))])[1:].tolist()
    return list(zip([0, *edges], [*edges, None], strict=True))


def cut(whole: range, size: int) -> list[range]:
    """Return pieces of a range."""
    return [whole[begin : begin + size] for begin in range(0, len(whole), size)]


def _regrouped(pieces: Iterable[tuple[Array, Array]], size: int) -> Iterator[tuple[Array, Array]]:
    """Yield what comes in pieces of two columns so many rows at a time; the last has what is left."""
    held, count = list[tuple[Array, Array]](), 0
    for one, other in pieces:
        begin = 0
        while begin < len(one):
            end = begin + size - count
            held.append((one[begin:end], other[begin:end]))
            begin, count = end, count + len(held[-1][0])
            if count == size:
                chunk, held, count = _joined(held), [], 0
                yield chunk
    if held:
        chunk, held = _joined(held), []
        yield chunk


def _joined(pieces: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    if len(pieces) == 1:
        return pieces[0]
    one, other = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return one, other


def _file(folder: str, number: int) -> str:
    return f"{folder}/{number:06d}.parquet"
