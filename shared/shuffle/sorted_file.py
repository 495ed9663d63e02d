"""One file of rows sorted by a key, in batches that are read without the others.

An Arrow IPC file: its footer says where each batch lies, its schema with which key each batch begins. So a span of
keys costs a seek, not a scan. A local file is mapped: what is not compressed is read page by page.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shared.storage import Store

BATCH_ROWS = 4096
Key = int | bytes


def write_sorted(
    store: Store, name: str, rows: pa.Table, key: str, batch_rows: int = BATCH_ROWS, compression: str | None = "lz4"
) -> None:
    """Commit the rows, sorted by a column of integers or of digests; rows of equal key keep their order."""
    rows = rows.unify_dictionaries()
    rows = rows.take(pc.sort_indices(rows[key])).combine_chunks()
    firsts = rows[key].take(pa.array(range(0, len(rows), batch_rows), pa.int64())).to_pylist()
    told = {"key": key, "firsts": [first.hex() if isinstance(first, bytes) else first for first in firsts]}
    rows = rows.replace_schema_metadata({"sorted": json.dumps(told)})
    with store.commit(name) as draft, pa.OSFile(str(draft), "wb") as sink:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_file(sink, rows.schema, options=options) as writer:
            writer.write_table(rows, max_chunksize=batch_rows)


@dataclass(frozen=True)
class SortedFile:
    """An open sorted file."""

    batches: Any
    key: str
    firsts: list[Key]
    """The key of the first row of each batch."""

    def span(self, low: Key, high: Key | None) -> pa.Table:
        """Return the rows with low ≤ key < high, all from low on where high is None."""
        begin = max(0, bisect_left(self.firsts, low) - 1)
        end = len(self.firsts) if high is None else bisect_left(self.firsts, high)
        read = [self.batches.get_batch(i) for i in range(begin, end)]
        rows = pa.Table.from_batches(read, self.batches.schema).replace_schema_metadata(None)
        start = _rows_below(rows[self.key], low)
        stop = len(rows) if high is None else _rows_below(rows[self.key], high)
        return rows.slice(start, max(0, stop - start))


@contextmanager
def open_sorted(store: Store, name: str) -> Iterator[SortedFile]:
    """Open a sorted file for as long as the block lasts; tables that were read outlive it."""
    with pa.memory_map(store.path(name)) if store.local else store.open(name) as source:
        batches = pa.ipc.open_file(source)
        told = json.loads(batches.schema.metadata[b"sorted"])
        firsts = [bytes.fromhex(first) if isinstance(first, str) else first for first in told["firsts"]]
        yield SortedFile(batches, told["key"], firsts)


def _rows_below(keys: pa.ChunkedArray, limit: Key) -> int:
    return int(pc.sum(pc.less(keys, pa.scalar(limit, keys.type))).as_py() or 0)
