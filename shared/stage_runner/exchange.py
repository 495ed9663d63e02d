"""The exchange: rows of all parts meet again in buckets, by a key that belongs to the data.

Two passes over files, never over memory: every part is written sorted by slot (the first 32 bits of the key),
then every bucket reads its span of slots out of each. A bucket is named by its content, so that new images
rename only the buckets that they fall into.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from shared.stage_runner.orders import Order, read_names
from shared.storage import Store
from shared.tables import commit_part, part_name, read_part

SLOTS = 1 << 32


@dataclass(frozen=True)
class Scatter:
    """One part whose rows are to be sorted by slot."""

    order: Order
    number: int


@dataclass(frozen=True)
class Bucket:
    """A span of slots, and the scattered parts to gather it from."""

    stage: str
    workspace: str
    scattered: str
    """Name of the list of them."""
    number: int
    span: tuple[int, int]
    content: str = ""
    rows: int = 0

    def read(self) -> pa.Table:
        """Return the merged rows."""
        return read_part(Store(self.workspace), f"{self.stage}/buckets", self.content)


def spans(rows: int, bucket_rows: int) -> Iterator[tuple[int, int]]:
    """Cut the slots into a power of two of equal spans, so that a bucket has at most `bucket_rows` on average.

    Doubling, not stretching: a growing corpus keeps its buckets until it has doubled.
    """
    wanted = max(1, -(-rows // bucket_rows))
    count = 1 << (wanted - 1).bit_length()
    width = SLOTS // count
    return ((i * width, (i + 1) * width) for i in range(count))


def scatter(piece: Scatter) -> tuple[int, str]:
    """Sort the rows of one part by slot; return its number and the name of the file that holds them."""
    work = piece.order.open()
    store, stage = work.store, work.stage
    name = work.name([output.parts[piece.number].name for output in work.inputs])
    if not store.exists(part_name(f"{stage.name}/scatter", name)):
        assert stage.scatter is not None
        tables = [read_part(store, output.stage, output.parts[piece.number].name) for output in work.inputs]
        rows = stage.scatter(*tables, params=work.params)
        rows = rows.append_column("slot", pa.array(_slots(rows["key"])))
        commit_part(store, f"{stage.name}/scatter", rows.sort_by("slot"), name)
    return piece.number, name


def merge(bucket: Bucket) -> Bucket:
    """Gather one bucket out of every scattered part, in an order that no partitioning can change."""
    store = Store(bucket.workspace)
    low, high = bucket.span
    filters: list[Any] = [("slot", ">=", low), ("slot", "<", high)]
    scattered = read_names(bucket.workspace, bucket.stage, bucket.scattered)
    pieces = [read_part(store, f"{bucket.stage}/scatter", name, filters=filters) for name in scattered]
    rows = pa.concat_tables(pieces).unify_dictionaries().drop_columns(["slot"]).combine_chunks()
    rows = rows.sort_by([("key", "ascending"), ("uri", "ascending")])
    rows = pa.table({n: _plain(rows[n]) for n in rows.column_names})
    part = commit_part(store, f"{bucket.stage}/buckets", rows)
    return replace(bucket, content=part.name, rows=part.rows)


def _slots(keys: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.uint32]]:
    data = b"".join(key[:4] for key in keys.to_pylist())
    return np.frombuffer(data, dtype=">u4").astype(np.uint32)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dictionaries number their words by arrival: spell them out before content names the bucket."""
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
