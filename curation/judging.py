"""The quality verdicts: each rule's signal against its threshold, the first rule that holds being the reason."""

import pyarrow as pa
import pyarrow.compute as pc

from curation.rules import Rule
from shared.contracts import VERDICTS


def judge(measurements: pa.Table, rules: tuple[Rule, ...]) -> pa.Table:
    """Return VERDICTS; an image without signals breaks no rule."""
    rows = measurements.num_rows
    reason: pa.Array = pa.nulls(rows, pa.string())
    value = threshold = pa.nulls(rows, pa.float32())
    for rule in rules:
        signal, limit = _signal(measurements, rule.signal), pa.scalar(rule.threshold, pa.float32())
        holds = pc.fill_null((pc.less if rule.below else pc.greater)(signal, limit), False)
        first = pc.and_(pc.is_null(reason), holds)
        reason = pc.if_else(first, rule.kind, reason)
        value, threshold = pc.if_else(first, signal, value), pc.if_else(first, limit, threshold)
    return pa.table({"reason": reason, "value": value, "threshold": threshold}).cast(VERDICTS.schema)


def _signal(measurements: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a stored signal, or one that follows from the size."""
    width, height = (measurements[side].cast(pa.float32()) for side in ("width", "height"))
    if name == "shorter_side":
        return pc.min_element_wise(width, height, skip_nulls=False)
    if name == "megapixels":
        return pc.divide(pc.multiply(width, height), pa.scalar(1e6, pa.float32()))
    return measurements[name]
