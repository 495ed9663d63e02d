"""One file of rows sorted by a key, in row groups that are read without the others.

A Parquet file as all of them are: its schema says with which key each row group begins. So a span of keys costs a seek,
not a scan, and what is read is checked.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.storage.checked import opened_table, write_table
from shared.storage.store import Store

BATCH_ROWS = 4096
SortKey = int | bytes


def write_sorted(
    store: Store, name: str, rows: pa.Table, key: str, batch_rows: int = BATCH_ROWS, compression: str = "zstd"
) -> None:
    """Commit the rows, sorted by a column of integers or of digests; rows of equal key keep their order."""
    rows = rows.unify_dictionaries()
    rows = rows.take(pc.sort_indices(rows[key])).combine_chunks()
    firsts = rows[key].take(pa.array(range(0, len(rows), batch_rows), pa.int64())).to_pylist()
    described = {"key": key, "firsts": [first.hex() if isinstance(first, bytes) else first for first in firsts]}
    rows = rows.replace_schema_metadata({"sorted": json.dumps(described)})
    write_table(store, name, rows, compression, row_group_size=batch_rows, write_statistics=False)


@dataclass(frozen=True)
class SortedFile:
    """An open sorted file."""

    groups: pq.ParquetFile
    key: str
    firsts: list[SortKey]
    """The key of the first row of each row group."""

    def span(self, low: SortKey, high: SortKey | None, columns: list[str] | None = None) -> pa.Table:
        """Return the rows with low ≤ key < high, all from low on where high is None; the key is one of the columns."""
        begin = max(0, bisect_left(self.firsts, low) - 1)
        end = len(self.firsts) if high is None else bisect_left(self.firsts, high)
        rows = self.groups.read_row_groups(list(range(begin, end)), columns).replace_schema_metadata(None)
        start = _rows_below(rows[self.key], low)
        stop = len(rows) if high is None else _rows_below(rows[self.key], high)
        return rows.slice(start, max(0, stop - start))


@contextmanager
def open_sorted(store: Store, name: str) -> Iterator[SortedFile]:
    """Open a sorted file for as long as the block lasts; tables that were read outlive it. Raises DamagedFileError."""
    with opened_table(store, name) as groups:
        described = json.loads(groups.schema_arrow.metadata[b"sorted"])
        firsts = [bytes.fromhex(first) if isinstance(first, str) else first for first in described["firsts"]]
        yield SortedFile(groups, described["key"], firsts)


def _rows_below(keys: pa.ChunkedArray, limit: SortKey) -> int:
    return int(pc.sum(pc.less(keys, pa.scalar(limit, keys.type))).as_py() or 0)
