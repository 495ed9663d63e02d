"""Runs of a memo: files of rows sorted by their keys, in which a few keys are found without reading the others.

An Arrow IPC stream, not compressed, in a file with a checksum for each page: a local one is mapped, so a binary search
touches a few pages, and what a lookup touches is checked, once in a process.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.storage import Store
from shared.storage.paged_file import PagedFile, open_paged, seal_pages

Ints = np.ndarray[Any, np.dtype[np.int64]]
KeyWords = np.ndarray[Any, np.dtype[np.void]]

KEY = "key"
KEY_BYTES = 16
EDGE_BYTES = 8
RUN_ENDING = ".run"
BATCH_ROWS = 65_536
SPAN_ROWS = 65_536
"""Rows that are merged at once, about."""
SAMPLED = 512
"""Every so many keys one is looked at, to cut a merge into spans."""
OPEN_RUNS = 64
"""Runs that a process holds open."""
KEPT_BATCHES = 1024
"""Batches of an open run of which a process keeps where their columns lie, some kilobytes each: to find that out again
costs four times what a search in them does."""
PREFIX = struct.Struct("<iI")
"""How an Arrow message begins: a mark, and the length of what says where its buffers are."""
END_OF_STREAM = PREFIX.pack(-1, 0)
OFFSET_BYTES = EDGE_BYTES // 2
"""Of where a string or a list begins among those of its column."""


@dataclass(frozen=True)
class OpenRun:
    """A run, where each of its batches begins, and with which key."""

    file: PagedFile
    schema: pa.Schema
    edges: Ints
    """Of all batches, and the end of the last."""
    firsts: KeyWords
    kept: dict[int, pa.RecordBatch]
    """Batches of the map, by number."""

    def batch(self, number: int) -> pa.RecordBatch:
        """Return a batch of which the keys are checked, the other columns not yet. Raises DamagedFileError."""
        if number in self.kept:
            return self.kept[number]
        batch = self._read(number)
        if self.file.mapped is not None and len(self.kept) < KEPT_BATCHES:
            self.kept[number] = batch
        return batch

    def _read(self, number: int) -> pa.RecordBatch:
        begin, end = self.edges[number : number + 2].tolist()
        whole = self.file.read(begin, end)
        for length in (0, PREFIX.unpack(whole[: PREFIX.size])[1]):
            self._check(whole, np.array([[0, PREFIX.size + length]]))
        batch = pa.ipc.read_record_batch(whole, self.schema)
        self._check_rows(batch.column(0), np.array([[0, len(batch)]]))
        return batch

    def rows_of(self, keys: KeyWords) -> tuple[Ints, pa.Table]:
        """Return which of the ascending keys stand here, and their rows. Raises DamagedFileError."""
        home = np.searchsorted(self.firsts, keys, side="right") - 1
        hits, rows = [np.zeros(0, np.int64)], []
        for number in np.unique(home[home >= 0]).tolist():
            batch = self.batch(number)
            begin, end = np.searchsorted(home, [number, number + 1])
            existing = words(batch.column(0))
            place = np.minimum(np.searchsorted(existing, keys[begin:end]), len(existing) - 1)
            same = existing[place] == keys[begin:end]
            place = place[same]
            if not len(place):
                continue
            for column in batch.columns[1:]:
                self._check_rows(column, np.stack([place, place + 1], axis=1))
            hits.append(begin + np.flatnonzero(same))
            rows.append(batch.take(pa.array(place)))
        return np.concatenate(hits), pa.Table.from_batches(rows, self.schema)

    def span(self, low: np.void | None, high: np.void | None) -> pa.Table:
        """Return the rows with low ≤ key < high of a run that is checked; None is no limit."""
        begin = 0 if low is None else max(0, int(np.searchsorted(self.firsts, low, side="right")) - 1)
        end = len(self.firsts) if high is None else int(np.searchsorted(self.firsts, high))
        slices = []
        for number in range(begin, end):
            batch = self.batch(number)
            existing = words(batch.column(0))
            start = 0 if low is None else int(np.searchsorted(existing, low))
            stop = len(existing) if high is None else int(np.searchsorted(existing, high))
            slices.append(batch.slice(start, stop - start))
        return pa.Table.from_batches(slices, self.schema)

    def sample(self) -> KeyWords:
        """Return every SAMPLED-th key."""
        return np.concatenate([words(self.batch(i).column(0))[::SAMPLED] for i in range(len(self.firsts))])

    def _check_rows(self, column: pa.Array, spans: Ints) -> None:
        """Check what rows [n, begin and end] of a column are read from."""
        bitmap, *buffers = column.buffers()
        if bitmap is not None:
            self._check(bitmap, spans // 8 + np.array([0, 1]))
        if pa.types.is_string(column.type) or pa.types.is_list(column.type):
            self._check(buffers[0], spans * OFFSET_BYTES + np.array([0, OFFSET_BYTES]))
            inner = np.frombuffer(buffers[0], np.int32)[spans].astype(np.int64)
            if pa.types.is_list(column.type):
                self._check_rows(column.values, inner)
            else:
                self._check(buffers[1], inner)
        elif pa.types.is_boolean(column.type):
            self._check(buffers[0], spans // 8 + np.array([0, 1]))
        else:
            self._check(buffers[0], spans * (column.type.bit_width // 8))

    def _check(self, buffer: pa.Buffer | None, spans: Ints) -> None:
        """Check bytes [n, begin and end] of a buffer of the map."""
        if buffer is not None and self.file.mapped is not None:
            begins, ends = (spans + (buffer.address - self.file.mapped.address)).T
            self.file.check(begins, ends)


def open_run(store: Store, name: str, *, whole: bool = False) -> OpenRun:
    """Return a run, a `whole` one as a copy on this machine.

    Raises FileNotFoundError for one that was merged, DamagedFileError.
    """
    if not whole and not store.exists(name):  # a copy that is open answers as well as what it was merged into
        raise FileNotFoundError(name)
    return _opened(store, name, whole)


def drop_run(store: Store, name: str) -> bool:
    """Delete a damaged run, and let go of it; return whether it was still there."""
    _opened.cache_clear()
    existed = store.exists(name)
    store.delete(name)
    return existed


def check_run(store: Store, name: str) -> None:
    """Read a run to its last byte. Raises DamagedFileError."""
    open_paged(store, name).check_all()


@lru_cache(OPEN_RUNS)
def _opened(store: Store, name: str, whole: bool) -> OpenRun:
    file = open_paged(store, name, whole=whole)
    count = len(file.about) // (EDGE_BYTES + KEY_BYTES)
    edges = np.frombuffer(file.about, np.int64, count + 1)
    firsts = np.frombuffer(file.about, np.dtype((np.void, KEY_BYTES)), offset=edges.nbytes)
    schema = file.read(0, int(edges[0]))
    file.check(np.array([0]), edges[:1])
    return OpenRun(file, pa.ipc.read_schema(schema), edges, firsts, {})


def write_run(store: Store, name: str, rows: pa.Table) -> None:
    """Commit rows of which the keys are ascending and distinct."""
    with store.commit(name) as draft:
        _write(draft, rows.schema, [rows])


def _write(draft: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write tables one after the other, which together are a run."""
    edges, firsts = [], []
    with draft.open("wb") as file:
        file.write(schema.serialize())
        for batch in (b for table in tables for b in table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS)):
            edges.append(file.tell())
            firsts.append(words(batch.column(0))[:1])
            file.write(batch.serialize())
        edges.append(file.tell())
        file.write(END_OF_STREAM)
    seal_pages(draft, np.array(edges, np.int64).tobytes() + np.concatenate(firsts).tobytes())


def merge_runs(store: Store, names: Sequence[str], merged: str) -> None:
    """Commit the rows of several runs as one, span by span: memory is that of some SPAN_ROWS rows.

    Raises DamagedFileError for one of them.
    """
    runs = [open_run(store, name) for name in names]
    for run in runs:
        run.file.check_all()
    sampled = np.sort(np.concatenate([run.sample() for run in runs]))
    edges = [None, *np.unique(sampled[SPAN_ROWS // SAMPLED :: SPAN_ROWS // SAMPLED]), None]
    spans = (pa.concat_tables([run.span(low, high) for run in runs]) for low, high in pairwise(edges))
    with store.commit(merged) as draft:
        _write(draft, runs[0].schema, map(distinct, spans))


def distinct(rows: pa.Table) -> pa.Table:
    """Return the rows in the order of their keys, of equal keys the first."""
    rows = rows.take(pc.sort_indices(rows[KEY])).combine_chunks()
    keys = np.concatenate([words(pa.array([], pa.binary(KEY_BYTES))), *(words(chunk) for chunk in rows[KEY].chunks)])
    first = np.ones(len(keys), dtype=bool)
    first[1:] = keys[1:] != keys[:-1]
    return rows.filter(pa.array(first))


def words(keys: pa.Array) -> KeyWords:
    """Return keys as an array that compares as bytes do."""
    data = np.frombuffer(keys.buffers()[1] or b"", np.uint8)
    return data[keys.offset * KEY_BYTES : (keys.offset + len(keys)) * KEY_BYTES].view(np.dtype((np.void, KEY_BYTES)))
