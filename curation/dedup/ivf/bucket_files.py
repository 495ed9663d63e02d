"""Files that are sorted by bucket, read together: the rows of a span of buckets, or of each bucket of it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from shared.storage import Store
from shared.storage.sorted_file import open_sorted


def buckets_of(store: Store, names: Sequence[str], low: int, high: int) -> Iterator[pa.Table]:
    """Yield the rows of each bucket of a span; each file is read once, as a bucket is smaller than a row group."""
    read = spans_of(store, names, low, high)
    edges = [np.searchsorted(rows["bucket"].to_numpy(), np.arange(low, high + 1)).tolist() for rows in read]
    for i in range(high - low):
        yield pa.concat_tables([rows.slice(e[i], e[i + 1] - e[i]) for rows, e in zip(read, edges, strict=True)])


def spans_of(store: Store, names: Sequence[str], low: int, high: int) -> list[pa.Table]:
    """Return the rows of each file in a span of buckets."""
    read = []
    for name in names:
        with open_sorted(store, name) as file:
            rows = file.span(low, high)
        read.append(rows.take(pa.array(np.arange(len(rows)))))  # a slice would hold its row groups whole
    return read
