"""Runs of a memo: files of rows sorted by their keys, in which a few keys are found without reading the others.

An Arrow IPC file, not compressed: a local one is mapped, so a binary search touches a few pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.storage import Store

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
KeyWords = np.ndarray[Any, np.dtype[np.void]]

KEY = "key"
KEY_BYTES = 16
BATCH_ROWS = 65_536
SPAN_ROWS = 65_536
"""Rows that are merged at once, about."""
SAMPLED = 512
"""Every so many keys one is looked at, to cut a merge into spans."""
OPEN_RUNS = 64
"""Runs that a process holds open."""


@dataclass(frozen=True)
class OpenRun:
    """A run, and with which key each of its batches begins."""

    reader: pa.ipc.RecordBatchFileReader
    firsts: KeyWords

    def rows_of(self, keys: KeyWords) -> tuple[Ints, pa.Table]:
        """Return which of the ascending keys stand here, and their rows; batches without any are not looked at."""
        home = np.searchsorted(self.firsts, keys, side="right") - 1
        hits, rows = [np.zeros(0, np.int64)], []
        for number in np.unique(home[home >= 0]).tolist():
            batch = self.reader.get_batch(number)
            begin, end = np.searchsorted(home, [number, number + 1])
            existing = words(batch.column(0))
            place = np.minimum(np.searchsorted(existing, keys[begin:end]), len(existing) - 1)
            same = existing[place] == keys[begin:end]
            hits.append(begin + np.flatnonzero(same))
            rows.append(batch.take(pa.array(place[same])))
        return np.concatenate(hits), pa.Table.from_batches(rows, self.reader.schema)

    def span(self, low: np.void | None, high: np.void | None) -> pa.Table:
        """Return the rows with low ≤ key < high; None is no limit."""
        begin = 0 if low is None else max(0, int(np.searchsorted(self.firsts, low, side="right")) - 1)
        end = len(self.firsts) if high is None else int(np.searchsorted(self.firsts, high))
        slices = []
        for number in range(begin, end):
            batch = self.reader.get_batch(number)
            existing = words(batch.column(0))
            start = 0 if low is None else int(np.searchsorted(existing, low))
            stop = len(existing) if high is None else int(np.searchsorted(existing, high))
            slices.append(batch.slice(start, stop - start))
        return pa.Table.from_batches(slices, self.reader.schema)

    def sample(self) -> KeyWords:
        """Return every SAMPLED-th key."""
        batches = (self.reader.get_batch(i).column(0) for i in range(self.reader.num_record_batches))
        return np.concatenate([words(keys)[::SAMPLED] for keys in batches])


def open_run(store: Store, name: str) -> OpenRun:
    """Return a run; it is never written anew under its name. Raises FileNotFoundError for one that was merged."""
    if not store.exists(name):
        raise FileNotFoundError(name)
    return _opened(store, name)


@lru_cache(OPEN_RUNS)
def _opened(store: Store, name: str) -> OpenRun:
    reader = pa.ipc.open_file(pa.memory_map(store.path(name)) if store.local else store.open(name))
    firsts = [words(reader.get_batch(i).column(0).slice(0, 1)) for i in range(reader.num_record_batches)]
    return OpenRun(reader, np.concatenate(firsts))


def write_run(store: Store, name: str, rows: pa.Table) -> None:
    """Commit rows of which the keys are ascending and distinct."""
    with store.commit(name) as draft, pa.ipc.new_file(str(draft), rows.schema) as writer:
        writer.write_table(rows, max_chunksize=BATCH_ROWS)


def merge_runs(store: Store, names: Sequence[str], merged: str) -> None:
    """Commit the rows of several runs as one, span by span: memory is that of some SPAN_ROWS rows."""
    runs = [open_run(store, name) for name in names]
    sampled = np.sort(np.concatenate([run.sample() for run in runs]))
    edges = [None, *np.unique(sampled[SPAN_ROWS // SAMPLED :: SPAN_ROWS // SAMPLED]), None]
    with store.commit(merged) as draft, pa.ipc.new_file(str(draft), runs[0].reader.schema) as writer:
        for low, high in pairwise(edges):
            rows = pa.concat_tables([run.span(low, high) for run in runs])
            writer.write_table(distinct(rows), max_chunksize=BATCH_ROWS)


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
