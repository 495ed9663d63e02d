"""The slots of an exchange: the first 32 bits of a key, cut into equal spans, one for each bucket."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

SLOTS = 1 << 32


def spans(rows: int, bucket_rows: int) -> Iterator[tuple[int, int]]:
    """Cut the slots into a power of two of equal spans, so that a bucket has at most `bucket_rows` on average.

    Doubling, not stretching: a growing corpus keeps its buckets until it has doubled.
    """
    wanted = max(1, -(-rows // bucket_rows))
    count = 1 << (wanted - 1).bit_length()
    width = SLOTS // count
    return ((i * width, (i + 1) * width) for i in range(count))


def slots(keys: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Return the slot [n] of each key."""
    data = b"".join(key[:4] for key in keys.to_pylist())
    return np.frombuffer(data, dtype=">u4").astype(np.uint32)
