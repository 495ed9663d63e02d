"""A corpus part by part: which of its rows may be compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Ints
from shared.tables import Rows

GATHERED = 500_000
"""Rows that gathered() yields at once, about."""


@dataclass(frozen=True)
class ComparablePart:
    """The rows of a part that may be compared, with some columns of theirs."""

    rows: Ints
    """Where each stands in the whole index."""
    listed: pa.Table
    measured: pa.Table


def comparable_parts(
    corpus: tuple[Rows, Rows, Rows | None], indexed: list[str], signals: list[str]
) -> Iterator[ComparablePart]:
    """Yield the decodable images that pass the quality rules; without verdicts, all that are decodable."""
    images, measurements, verdicts = corpus
    judged = repeat(None) if verdicts is None else verdicts.tables(["reason"])
    first = 0
    for listed, measured, verdict in zip(images.tables(indexed), measurements.tables(signals), judged, strict=False):
        passed = pc.is_valid(measured["pixels_id"])
        if verdict is not None:
            passed = pc.and_(passed, pc.is_null(verdict["reason"]))
        rows = np.flatnonzero(passed.to_numpy(zero_copy_only=False)).astype(np.int64)
        yield ComparablePart(first + rows, listed.take(pa.array(rows)), measured.take(pa.array(rows)))
        first += len(passed)


def gathered(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield parts together, some GATHERED rows at a time: what is sought in them is hashed each time."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= GATHERED:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
