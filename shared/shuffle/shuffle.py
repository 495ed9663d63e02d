"""The exchange of a stage in two passes, with references as payloads and about as many file openings as parts.

    gather: a group of parts → one file sorted by slot     merge: a wide span of slots → all buckets in it

Parts are grouped by a hash of their names, so new parts rename only their own groups; the number of groups and of
wide spans grows with the rows, so every part is read once, every group file once for each wide span, and a task holds
WIDE_ROWS rows on average. Buckets have the names and bytes that one reader for each bucket would give them.
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

from shared.params import Params, fingerprint
from shared.shuffle.listing import Listing, write_listing
from shared.shuffle.sorted_file import open_sorted, write_sorted
from shared.stage import Stage
from shared.stage_runner.exchange import SLOTS, spans
from shared.storage import Store
from shared.tables import FOLDER, Output, commit_part, read_part

GROUP_ROWS = 2_000_000
"""Rows of a gathered file, at most on average."""
WIDE_ROWS = 500_000
"""Rows that a merge holds, on average."""

Map = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Gather:
    """A group of parts: a slice of the listings of all inputs, which stand in one order."""

    stage: Stage
    params: Params
    workspace: str
    inputs: tuple[tuple[str, Listing], ...]
    """Of each input its stage and the names of its parts."""
    begin: int
    end: int


@dataclass(frozen=True)
class Merge:
    """A run of neighbouring buckets of `buckets`, from the gathered files in a listing."""

    stage: str
    workspace: str
    files: Listing
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


def shuffle(
    stage: Stage, params: Params, inputs: Sequence[Output], bucket_rows: int, store: Store, run: Map
) -> list[MergedBucket]:
    """Return the buckets that hold rows, in order; `run` is any executor's map."""
    rows, parts = inputs[0].rows, len(inputs[0].parts)
    count = _power(max(math.isqrt(max(parts, 1)), rows / GROUP_ROWS), parts)
    groups = [_group(part.name, count) for part in inputs[0].parts]
    order = sorted(range(parts), key=lambda number: (groups[number], inputs[0].parts[number].name))
    folder = f"{FOLDER}/{stage.name}/listings"
    names = [(o.stage, write_listing(store, folder, [o.parts[i].name for i in order])) for o in inputs]
    edges = np.searchsorted([groups[number] for number in order], range(count + 1)).tolist()
    work = [Gather(stage, params, store.url, tuple(names), begin, end) for begin, end in pairwise(edges) if begin < end]
    files = write_listing(store, folder, sorted(run(gather, work)))
    buckets = len(list(spans(rows, bucket_rows)))
    wide = min(buckets, _power(rows / WIDE_ROWS, buckets))
    runs = [
        Merge(stage.name, store.url, files, buckets, i, i + buckets // wide) for i in range(0, buckets, buckets // wide)
    ]
    return sorted((bucket for merged in run(merge, runs) for bucket in merged), key=lambda bucket: bucket.number)


def gather(work: Gather) -> str:
    """Scatter the parts of a group and write their rows sorted by slot; return the name of the file."""
    store, stage = Store(work.workspace), work.stage
    parts = [(name, listing.slice(store, work.begin, work.end)) for name, listing in work.inputs]
    name = fingerprint(stage.name, stage.version, stage.identity(work.params), [names for _, names in parts])
    file = f"{FOLDER}/{stage.name}/gathered/{name}.arrow"
    if not store.exists(file):
        assert stage.scatter is not None
        scattered = []
        for names in zip(*(names for _, names in parts), strict=True):
            tables = [read_part(store, made_by, part) for (made_by, _), part in zip(parts, names, strict=True)]
            scattered.append(stage.scatter(*tables, params=work.params))
        rows = pa.concat_tables(scattered)
        write_sorted(store, file, rows.append_column("slot", pa.array(_slots(rows["key"]))), "slot")
    return name


def merge(work: Merge) -> list[MergedBucket]:
    """Read a wide span out of every gathered file, and commit its buckets, sorted so that no grouping shows."""
    store, width = Store(work.workspace), SLOTS // work.buckets
    low, high = work.first * width, work.last * width
    with ExitStack() as stack:
        names = work.files.slice(store, 0, work.files.count)
        files = [stack.enter_context(open_sorted(store, f"{FOLDER}/{work.stage}/gathered/{n}.arrow")) for n in names]
        rows = pa.concat_tables([file.span(low, None if high == SLOTS else high) for file in files])
    rows = rows.unify_dictionaries().combine_chunks().sort_by([("key", "ascending"), ("uri", "ascending")])
    edges = np.searchsorted(rows["slot"].to_numpy(), np.arange(work.first, work.last + 1, dtype=np.int64) * width)
    rows, merged = rows.drop_columns(["slot"]), []
    for number, begin, end in zip(range(work.first, work.last), edges[:-1], edges[1:], strict=True):
        bucket = rows.slice(begin, end - begin)
        plain = pa.table({name: _plain(bucket[name]) for name in bucket.column_names}).combine_chunks()
        if end > begin:
            part = commit_part(store, f"{work.stage}/buckets", plain)
            merged.append(MergedBucket(number, part.name, part.rows))
    return merged


def _power(wanted: float, most: int) -> int:
    """Return the power of two from `wanted` on, at most the one below 2 · `most`: doubling keeps what is there."""
    return int(1 << max(0, math.ceil(math.log2(max(1.0, min(wanted, most))))))


def _group(name: str, count: int) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) % count


def _slots(keys: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.uint32]]:
    data = b"".join(key[:4] for key in keys.to_pylist())
    return np.frombuffer(data, dtype=">u4").astype(np.uint32)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dictionaries number their words by arrival: spell them out before content names the bucket."""
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
