"""The quality verdicts: each rule's signal against its threshold, the first rule that holds being the reason."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.models.files import load_model
from curation.quality import Rule, scorers_of
from curation.quality.model_rules import ModelRule
from curation.quality.scorer import Scorer, column
from shared.catalog import VERDICTS
from shared.errors import WorkFailedError


def judge(measurements: pa.Table, rules: tuple[Rule, ...]) -> pa.Table:
    """Return VERDICTS; an image without signals breaks no rule."""
    rows = measurements.num_rows
    reason: pa.Array = pa.nulls(rows, pa.string())
    value = threshold = pa.nulls(rows, pa.float32())
    scorers = scorers_of(rules)
    for rule in rules:
        signal, limit = _signal(measurements, rule, scorers), pa.scalar(rule.threshold, pa.float32())
        holds = pc.fill_null((pc.less if rule.below else pc.greater)(signal, limit), False)
        first = pc.and_(pc.is_null(reason), holds)
        reason = pc.if_else(first, rule.kind, reason)
        value, threshold = pc.if_else(first, signal, value), pc.if_else(first, limit, threshold)
    return pa.table({"reason": reason, "value": value, "threshold": threshold}).cast(VERDICTS.schema)


def _signal(measurements: pa.Table, rule: Rule, scorers: tuple[Scorer, ...]) -> pa.ChunkedArray | pa.Array:
    """Return the signal that the rule looks at, or what its model says."""
    if isinstance(rule, ModelRule):
        return _by_pixels(measurements, rule, scorers) if rule.input == "pixels" else _by_vector(measurements, rule)
    assert rule.signal is not None
    return rule.signal.column(measurements, pa.float32())


def _by_pixels(measurements: pa.Table, rule: ModelRule, scorers: tuple[Scorer, ...]) -> pa.Array:
    """Return the stored scores of the rule's scorer."""
    places, scores = _rows(measurements, "scores")
    if len(places) != pc.count(measurements["pixels_id"]).as_py() or (len(places) and scores.shape[1] != len(scorers)):
        raise WorkFailedError(
            f"Rule {rule.kind} needs {len(scorers)} measured scores of every image, got "
            f"{scores.shape[1]} of {len(places):,} images. "
            "Measure with these rules: run `dinoflow measure` with the same recipe."
        )
    column_number = [scorer == rule.scorer for scorer in scorers].index(True)
    return _spread(measurements.num_rows, places, scores[:, column_number] if len(places) else scores.ravel())


def _by_vector(measurements: pa.Table, rule: ModelRule) -> pa.Array:
    """Return what the rule's model says of the stored vectors, without a pixel."""
    places, vectors = _rows(measurements, "vector")
    if not len(places):
        return pa.nulls(measurements.num_rows, pa.float32())
    scores = column(load_model(rule.model)(vectors.astype(np.float32)), rule.output, rule.model)
    return _spread(measurements.num_rows, places, scores)


def _rows(measurements: pa.Table, name: str) -> tuple[Any, Any]:
    """Return the places of the lists that are not null, and the lists as rows [n, width]."""
    lists = measurements[name].combine_chunks()
    places = np.flatnonzero(lists.is_valid().to_numpy(zero_copy_only=False))
    values = lists.drop_null().flatten().to_numpy(zero_copy_only=False)
    return places, values.reshape(len(places), -1) if len(places) else values.reshape(0, 0)


def _spread(rows: int, places: Any, values: Any) -> pa.Array:
    """Return the values in their places, and nulls elsewhere."""
    column_values = np.zeros(rows, np.float32)
    column_values[places] = values
    missing = np.ones(rows, bool)
    missing[places] = False
    return pa.array(column_values, mask=missing)
