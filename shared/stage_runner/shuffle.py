"""The exchange: rows of all parts meet again in buckets, by a key that belongs to the data.

    gather: a group of parts → one file sorted by slot     merge: a wide span of slots → all buckets in it

Two passes, with references as payloads and about as many file openings as parts. Parts are grouped by a hash of what
is read of them, so new parts rename only their own groups; the number of groups and of wide spans grows with the rows,
so every part is read once, every group file once for each wide span, and a task holds WIDE_ROWS rows on average. A
bucket is named by its content, so that new images rename only the buckets that they fall into.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from shared.stage_runner.name_lists import list_names, listed
from shared.stage_runner.orders import Order, StageRun, orders_of
from shared.stage_runner.reading import read_declared
from shared.stage_runner.slots import SLOTS, slots, spans
from shared.storage import Store
from shared.storage.sorted_file import open_sorted, write_sorted
from shared.tables import FOLDER, commit_part

GROUP_ROWS = 2_000_000
"""Rows of a gathered file, at most on average."""
WIDE_ROWS = 500_000
"""Rows that a merge holds, on average."""

Map = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Gather:
    """A group of parts: a slice of a list of their numbers."""

    order: Order
    numbers: str
    begin: int
    end: int


@dataclass(frozen=True)
class Merge:
    """A run of neighbouring buckets of `buckets`, from the gathered files of a list."""

    stage: str
    workspace: str
    files: str
    buckets: int
    first: int
    last: int
    """The bucket after the last."""


@dataclass(frozen=True)
class MergedBucket:
    """A bucket that holds rows: its number, the name of its content, and how many rows."""

    number: int
    content: str
    rows: int


def shuffle(work: StageRun, order: Order, bucket_rows: int, run: Map) -> list[MergedBucket]:
    """Return the buckets that hold rows, in order; `run` is any executor's map."""
    rows, parts = work.inputs[0].rows, work.inputs[0].parts
    count = _power(max(math.isqrt(max(len(parts), 1)), rows / GROUP_ROWS), len(parts))
    names = ["".join(read) for read in zip(*work.contents, strict=True)]
    groups = [_group(name, count) for name in names]
    numbers = sorted(range(len(parts)), key=lambda number: (groups[number], names[number]))
    folder = orders_of(work.stage.name)
    ordered = list_names(work.store, folder, [str(number) for number in numbers])
    edges = np.searchsorted([groups[number] for number in numbers], range(count + 1)).tolist()
    gathers = [Gather(order, ordered, begin, end) for begin, end in pairwise(edges) if begin < end]
    files = list_names(work.store, folder, sorted(run(gather, gathers)))
    buckets = len(list(spans(rows, bucket_rows)))
    width = buckets // min(buckets, _power(rows / WIDE_ROWS, buckets))
    merges = [Merge(work.stage.name, work.workspace, files, buckets, i, i + width) for i in range(0, buckets, width)]
    return sorted((bucket for merged in run(merge, merges) for bucket in merged), key=lambda bucket: bucket.number)


def gather(piece: Gather) -> str:
    """Scatter the parts of a group and write their rows sorted by slot; return the name of the file."""
    work = piece.order.open()
    store, stage = work.store, work.stage
    numbers = [int(number) for number in listed(work.workspace, piece.numbers)[piece.begin : piece.end]]
    name = work.name([[contents[number] for contents in work.contents] for number in numbers])
    file = f"{FOLDER}/{stage.name}/gathered/{name}.parquet"
    if not store.exists(file):
        assert stage.scatter is not None
        scattered = []
        inputs = list(zip(work.inputs, stage.reads, strict=True))
        for number in numbers:
            tables = [read_declared(store, output.stage, output.parts[number], reads) for output, reads in inputs]
            scattered.append(stage.scatter(*tables, params=work.params))
        rows = pa.concat_tables(scattered)
        write_sorted(store, file, rows.append_column("slot", pa.array(slots(rows["key"]))), "slot")
    return name


def merge(piece: Merge) -> list[MergedBucket]:
    """Read a wide span out of every gathered file, and commit its buckets, sorted so that no grouping shows."""
    store, width = Store(piece.workspace), SLOTS // piece.buckets
    low, high = piece.first * width, piece.last * width
    names = listed(piece.workspace, piece.files)
    with ExitStack() as stack:
        files = [stack.enter_context(open_sorted(store, f"{FOLDER}/{piece.stage}/gathered/{n}.parquet")) for n in names]
        rows = pa.concat_tables([file.span(low, None if high == SLOTS else high) for file in files])
    rows = rows.unify_dictionaries().combine_chunks().sort_by([("key", "ascending"), ("uri", "ascending")])
    edges = np.searchsorted(rows["slot"].to_numpy(), np.arange(piece.first, piece.last + 1, dtype=np.int64) * width)
    rows, merged = rows.drop_columns(["slot"]), []
    for number, begin, end in zip(range(piece.first, piece.last), edges[:-1], edges[1:], strict=True):
        bucket = rows.slice(begin, end - begin)
        plain = pa.table({name: _plain(bucket[name]) for name in bucket.column_names}).combine_chunks()
        if end > begin:
            part = commit_part(store, f"{piece.stage}/buckets", plain)
            merged.append(MergedBucket(number, part.name, part.rows))
    return merged


def _power(wanted: float, most: int) -> int:
    """Return the power of two from `wanted` on, at most the one below 2 · `most`: doubling keeps what is there."""
    return int(1 << max(0, math.ceil(math.log2(max(1.0, min(wanted, most))))))


def _group(name: str, count: int) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) % count


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dictionaries number their words by arrival: spell them out before content names the bucket."""
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
