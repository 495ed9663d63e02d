"""What the comparison of pixels said of a pair is remembered by the pixels of both: no threshold, place or part counts.

The key is the unordered pair of digests and what compares; an orientation is stored as from the smaller digest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.dedup.geometry.alignments import ORIENTATION_NAMES
from curation.dedup.geometry.compare import Comparison
from shared.stage_runner import RowMemory
from shared.stage_runner.memo import Memo, pair_key
from shared.stage_runner.memo_runs import KEY_BYTES

SCORE_STEPS = 1024
"""Scores are rounded down to so many steps of one: their last bits, which no reader needs, rename nothing."""
SCHEMA = pa.schema([("score", pa.float32()), ("verdict", pa.string()), ("orientation", pa.string())])
INVERSE = dict(zip(ORIENTATION_NAMES[False], (ORIENTATION_NAMES[False][-turn % 4] for turn in range(4)), strict=True))
"""Turned back; what is mirrored is its own inverse."""


@dataclass(frozen=True)
class PairMemo:
    """The remembered comparisons of some candidates."""

    memo: Memo
    keys: list[bytes]
    swapped: list[bool]

    @classmethod
    def of(cls, candidates: pa.Table, memory: RowMemory) -> "PairMemo":
        """Return the memo for these rows of CANDIDATES."""
        pairs = zip(candidates["pixels_id"].to_pylist(), candidates["other_pixels_id"].to_pylist(), strict=True)
        sides = list(pairs)
        identity = memory.identity.encode()
        keys = [pair_key(one, other, identity) for one, other in sides]
        return cls(memory.rows(SCHEMA), keys, [other < one for one, other in sides])

    def lookup(self) -> dict[int, Comparison]:
        """Return, by row, what is remembered."""
        places, rows = self.memo.lookup(pa.array(self.keys, pa.binary(KEY_BYTES)))
        columns = (rows[name].to_pylist() for name in Comparison._fields)
        found = dict(zip(places.to_pylist(), (Comparison(*row) for row in zip(*columns, strict=True)), strict=True))
        return {row: self._turned(row, each) for row, each in found.items()}

    def append(self, comparisons: dict[int, Comparison]) -> None:
        """Remember what was found of some rows."""
        rows = [self._turned(row, each) for row, each in comparisons.items()]
        keys = pa.array([self.keys[row] for row in comparisons], pa.binary(KEY_BYTES))
        self.memo.append(keys, pa.table(as_columns(rows), schema=SCHEMA))

    def _turned(self, row: int, each: Comparison) -> Comparison:
        swapped = self.swapped[row]
        return each._replace(orientation=INVERSE.get(each.orientation, each.orientation)) if swapped else each


def quantised(comparison: Comparison) -> Comparison:
    """Return the comparison with its score rounded down."""
    return comparison._replace(score=float(np.floor(comparison.score * SCORE_STEPS) / SCORE_STEPS))


def as_columns(comparisons: Sequence[Comparison]) -> dict[str, pa.Array]:
    """Return score, verdict and orientation as columns."""
    columns = zip(*comparisons, strict=True) if comparisons else [()] * len(SCHEMA)
    return {field.name: pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)}
