"""A memo of rows: what a dear function said of a key is found again, whatever the parts are cut like.

A folder of runs. A run is written once: rows sorted by key, committed whole under the digest of its keys, so that a
kill leaves nothing half, and the same rows written twice are one file. Values are pure functions of their keys, so
it does not matter which run answers, and merging may be killed anywhere. A run that is not as it was written is left
out, said and deleted: its rows are made again. Keys are 16 bytes; those that are asked together should begin alike
(`key`), for then a run is read in few places.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import DamagedFileError
from shared.stage_runner.memo_runs import (
    KEY,
    KEY_BYTES,
    RUN_ENDING,
    distinct,
    drop_run,
    merge_runs,
    open_run,
    words,
    write_run,
)
from shared.storage import Store

log = logging.getLogger(__name__)

NEAR_BYTES = 4
RUNS = 16
"""More runs than these are worth merging."""
FAN = 64
"""Runs that are merged into one at once, at most."""


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
    """The columns of a row, without the key; words are plain strings."""
    listed: tuple[str, ...] | None = None
    """The runs to look in: those of before a stage began, or its parts would open those of each other. None = all."""
    whole: bool = False
    """Whether runs of an object store are fetched whole: rows so short that a few from all over cost as much."""

    def lookup(self, keys: pa.Array) -> tuple[pa.Array, pa.Table]:
        """Return the positions among `keys` that are remembered, ascending, and their rows in that order."""
        wanted, runs = pa.array(keys, pa.binary(KEY_BYTES)), self.runs() if self.listed is None else self.listed
        while True:
            try:
                return self._lookup(wanted, runs)
            except FileNotFoundError:  # merged since it was listed: the new run is there by now
                runs = self.runs()

    def _lookup(self, wanted: pa.Array, runs: Sequence[str]) -> tuple[pa.Array, pa.Table]:
        left = pc.sort_indices(wanted).to_numpy().astype(np.int64)
        positions, tables = [np.zeros(0, np.int64)], [self.schema.empty_table()]
        for run in runs:
            try:
                opened = open_run(self.store, f"{self.folder}/{run}", whole=self.whole)
                hits, rows = opened.rows_of(words(wanted.take(pa.array(left))))
            except DamagedFileError as error:
                self._drop(error)
                continue
            positions.append(left[hits])
            tables.append(rows.select(self.schema.names).replace_schema_metadata(None))
            left = np.delete(left, hits)
        found = np.concatenate(positions)
        order = np.argsort(found, kind="stable")
        return pa.array(found[order]), pa.concat_tables(tables).take(pa.array(order))

    def append(self, keys: pa.Array, rows: pa.Table) -> None:
        """Remember rows; of a key that stands there twice, the first."""
        ordered = rows.select(self.schema.names).cast(self.schema)
        ordered = distinct(ordered.add_column(0, KEY, pa.array(keys, pa.binary(KEY_BYTES))))
        if not len(ordered):
            return
        state = hashlib.blake2b(digest_size=10)
        for chunk in ordered[KEY].chunks:
            state.update(words(chunk).tobytes())
        write_run(self.store, f"{self.folder}/{state.hexdigest()}{RUN_ENDING}", ordered)

    def groups(self) -> list[tuple[str, ...]]:
        """Return the runs to merge now, each group into one; none where there are few.

        Runs stay that are larger than all smaller ones together, so that a row is written some log n times in all.
        """
        sizes = self.store.sizes(self.folder)
        runs = sorted(self.runs(), key=lambda run: (sizes.get(run, 0), run))
        if len(runs) <= RUNS:
            return []
        totals = np.cumsum([sizes.get(run, 0) for run in runs])
        larger = [sizes.get(run, 0) > before for run, before in zip(runs[1:], totals[:-1].tolist(), strict=True)]
        small = len(runs) - next((i for i, is_larger in enumerate(reversed(larger)) if not is_larger), len(runs) - 1)
        return [group for group in _grouped(runs[:small]) if len(group) > 1]

    def merge(self, group: Sequence[str]) -> None:
        """Merge some runs into one; readers that hold an old one go on reading it."""
        merged = f"{hashlib.blake2b(''.join(sorted(group)).encode(), digest_size=10).hexdigest()}{RUN_ENDING}"
        try:
            merge_runs(self.store, [f"{self.folder}/{run}" for run in group], f"{self.folder}/{merged}")
        except DamagedFileError as error:
            self._drop(error)
            return
        for run in group:
            if run != merged:
                self.store.delete(f"{self.folder}/{run}")

    def _drop(self, error: DamagedFileError) -> None:
        """Delete a damaged run, and say so, once."""
        if drop_run(self.store, error.file):
            log.warning("%s %s: its rows are made again", error.file, error.why)

    def runs(self) -> list[str]:
        """Return the names of the runs."""
        return [name for name in self.store.names(self.folder) if name.endswith(RUN_ENDING)]


def _grouped(runs: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(runs[begin : begin + FAN]) for begin in range(0, len(runs), FAN)]
