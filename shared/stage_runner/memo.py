"""A memo of rows: what a dear function said of a key is found again, whatever the parts are cut like.

A folder of runs. A run is written once: rows sorted by key, committed whole under the digest of its keys, so that a
kill leaves nothing half, and the same rows written twice are one file. Values are pure functions of their keys, so
it does not matter which run answers, and compaction may be killed anywhere. Keys are 16 bytes; those that are asked
together should begin alike (`key`), for then a run is read in few places.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.storage import Store

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

KEY = "key"
KEY_BYTES, NEAR_BYTES = 16, 4
BATCH_ROWS = 65_536
RUNS = 16
"""More runs than these are worth compacting."""


def key(near: bytes, *facts: bytes) -> bytes:
    """Return the key of facts: 4 bytes of the digest of `near` (a file, an image), then 12 of all of them.

    With 12 and 4 bytes two of 10¹⁰ different keys are equal with probability 2e-10 at most.
    """
    lengths = b"".join(len(fact).to_bytes(4) for fact in (near, *facts))
    whole = hashlib.blake2b(lengths + near + b"".join(facts), digest_size=KEY_BYTES - NEAR_BYTES)
    return hashlib.blake2b(near, digest_size=NEAR_BYTES).digest() + whole.digest()


def pair_key(one: bytes, another: bytes, identity: bytes) -> bytes:
    """Return the key of an unordered pair of images and of what judges it."""
    low, high = sorted((one, another))
    return key(low, high, identity)


@dataclass(frozen=True)
class Memo:
    """Rows of one schema under keys of 16 bytes, in a folder of a workspace."""

    store: Store
    folder: str
    schema: pa.Schema
    """The columns of a row, without the key."""

    def lookup(self, keys: pa.Array) -> tuple[pa.Array, pa.Table]:
        """Return the positions among `keys` that are remembered, ascending, and their rows in that order."""
        while True:
            try:
                return self._lookup(pa.array(keys, pa.binary(KEY_BYTES)))
            except FileNotFoundError:  # compacted since it was listed: the merged run is there by now
                continue

    def _lookup(self, wanted: pa.Array) -> tuple[pa.Array, pa.Table]:
        left = pc.sort_indices(wanted).to_numpy().astype(np.int64)
        positions, tables = [np.zeros(0, np.int64)], [self.schema.empty_table()]
        for run in self.runs():
            hits, rows = self._in_run(run, wanted, left)
            positions.append(hits)
            tables.append(rows)
            left = left[~np.isin(left, hits)]
        found = np.concatenate(positions)
        order = np.argsort(found, kind="stable")
        return pa.array(found[order]), pa.concat_tables(tables).take(pa.array(order))

    def append(self, keys: pa.Array, rows: pa.Table) -> None:
        """Remember rows; of a key that stands there twice, the first."""
        ordered = rows.select(self.schema.names).cast(self.schema).unify_dictionaries()
        ordered = ordered.add_column(0, KEY, pa.array(keys, pa.binary(KEY_BYTES)))
        ordered = ordered.take(pc.sort_indices(ordered[KEY])).combine_chunks()
        if len(ordered):
            self._write(ordered.filter(pa.array(_first_of_each(ordered[KEY]))))

    def compact(self) -> None:
        """Merge all runs into one; readers that hold an old one go on reading it. Memory: all rows."""
        runs = self.runs()
        if len(runs) < 2:
            return
        merged = pa.concat_tables([self._open(run).read_all() for run in runs]).unify_dictionaries()
        merged = merged.take(pc.sort_indices(merged[KEY])).combine_chunks()
        kept = self._write(merged.filter(pa.array(_first_of_each(merged[KEY]))))
        for run in runs:
            if run != kept:
                self.store.fs.rm(self.store.path(self.folder, run))

    def runs(self) -> list[str]:
        """Return the names of the runs."""
        return [name for name in self.store.names(self.folder) if name.endswith(".arrow")]

    def _write(self, rows: pa.Table) -> str:
        state = hashlib.blake2b(digest_size=10)
        for chunk in rows[KEY].chunks:
            state.update(_words(chunk).tobytes())
        name = f"{state.hexdigest()}.arrow"
        with self.store.commit(f"{self.folder}/{name}") as draft, pa.ipc.new_file(str(draft), rows.schema) as writer:
            writer.write_table(rows, max_chunksize=BATCH_ROWS)
        return name

    def _open(self, run: str) -> pa.ipc.RecordBatchFileReader:
        name = f"{self.folder}/{run}"
        return pa.ipc.open_file(pa.memory_map(self.store.path(name)) if self.store.local else self.store.open(name))

    def _in_run(self, run: str, wanted: pa.Array, left: Ints) -> tuple[Ints, pa.Table]:
        """Return the positions of `left` (in the order of their keys) that a run knows, and their rows.

        A local run is mapped and not compressed: a binary search touches a few pages of each batch.
        """
        reader = self._open(run)
        asked = _words(wanted.take(pa.array(left)))
        batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        hits, rows = [np.zeros(0, np.int64)], []
        begin = 0
        for batch in batches:
            known = _words(batch.column(0))
            end = begin + int(np.searchsorted(asked[begin:], known[-1], side="right"))
            place = np.searchsorted(known, asked[begin:end])
            same = known[place] == asked[begin:end]
            hits.append(left[begin:end][same])
            rows.append(batch.take(pa.array(place[same])))
            begin = end
        table = pa.Table.from_batches(rows, reader.schema).select(self.schema.names).replace_schema_metadata(None)
        return np.concatenate(hits), table


def _words(keys: pa.Array) -> np.ndarray[Any, np.dtype[np.void]]:
    """Return keys as an array that compares as bytes do."""
    data = np.frombuffer(keys.buffers()[1], np.uint8)[keys.offset * KEY_BYTES : (keys.offset + len(keys)) * KEY_BYTES]
    return data.view(np.dtype((np.void, KEY_BYTES)))


def _first_of_each(keys: pa.ChunkedArray) -> Bools:
    """Return which of the sorted keys is the first of its like."""
    words = np.concatenate([_words(chunk) for chunk in keys.chunks])
    first = np.ones(len(words), dtype=bool)
    first[1:] = words[1:] != words[:-1]
    return first
