"""Where each quality rule draws its line: the spread of its signal, and the images just on either side."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from curation.publish.reasons import by_rule
from curation.quality import RULES
from curation.quality.signals import PUBLISHED, SHORTER_SIDE, Signal
from flows.report.dataset import samples
from flows.report.dataset.evidence import Evidence
from flows.report.dataset.pictures import Thumbnails, name_of
from flows.report.kit import reason_text
from flows.report.kit.charts import histogram
from shared.catalog import SIGNALS

SIDE = 4
"""Pictures on either side of a limit."""
KEPT, OTHER = "kept", "broken"
"""Colours of what is kept, and of what was dropped for another reason than the rule's."""


@dataclass(frozen=True)
class Limit:
    """One rule, or a signal that no rule looks at."""

    reason: str | None
    signal: Signal | None
    threshold: float | None
    chart: Markup | None
    count: int
    dropped: list[dict[str, Any]]
    kept: list[dict[str, Any]]

    def uris(self) -> set[str]:
        """Return the uris whose bytes are needed."""
        return {row["uri"] for row in [*self.dropped, *self.kept]}

    def facts(self, pictures: Thumbnails) -> dict[str, Any]:
        """Return what the page says."""
        signal = self.signal.title if self.signal else reason_text.title(self.reason or "")
        return {
            "title": reason_text.title(self.reason) if self.reason else signal,
            "signal": signal,
            "unit": self.signal.unit if self.signal else "",
            "group": reason_text.group(self.reason or ""),
            "reason": self.reason,
            "threshold": self.threshold,
            "chart": self.chart,
            "count": self.count,
            "pixels": self.signal is SHORTER_SIDE,
            "dropped": [self._card(row, pictures) for row in self.dropped],
            "kept": [self._card(row, pictures) for row in self.kept],
        }

    def _card(self, row: dict[str, Any], pictures: Thumbnails) -> dict[str, Any]:
        value = reason_text.signal_value(self.reason or "", row["value"], self.threshold)
        return {"picture": pictures.of(row["uri"]), "uri": row["uri"], "name": name_of(row["uri"]), "value": value}


def limits(kept: pa.Table, dropped: pa.Table, evidence: Evidence, recipe: dict[str, Any]) -> list[Limit]:
    """Return one entry for each rule, then one for each signal that no rule looks at."""
    counts = samples.frequencies(dropped["reason"])
    others = [reason for reason in counts if by_rule(reason)]  # that only the tables know of
    rules = list(dict.fromkeys([rule["kind"] for rule in rules_of(recipe)] + others))
    drawn = [_of_rule(reason, kept, dropped, evidence, recipe, counts.get(reason, 0)) for reason in rules]
    free = [signal for signal in PUBLISHED if signal not in {limit.signal for limit in drawn}]
    lone = [Limit(None, signal, None, chart, 0, [], []) for signal in free if (chart := _chart(signal, evidence, kept))]
    return [*(limit for limit in drawn if limit.count or limit.kept), *lone]


def _of_rule(
    reason: str, kept: pa.Table, dropped: pa.Table, evidence: Evidence, recipe: dict[str, Any], count: int
) -> Limit:
    taken = samples.of_reason(dropped, reason)
    published = taken["threshold"].drop_null()
    given = [rule["threshold"] for rule in rules_of(recipe) if rule["kind"] == reason and "threshold" in rule]
    threshold = float(given[0]) if given else float(published[0].as_py()) if len(published) else None
    judged = taken.filter(pc.is_valid(taken["value"]))
    nearest = samples.nearest_the_limit(judged, SIDE).select(["uri", "value"]).to_pylist()
    rule = RULES.get(reason)
    if rule is None or rule.signal is None:
        return Limit(reason, None, threshold, None, count, nearest, [])
    order = "ascending" if rule.below else "descending"
    values = pa.table({"uri": kept["uri"], "value": rule.signal.column(kept, pa.float64())})
    values = values.filter(pc.is_finite(values["value"]))
    place = pc.select_k_unstable(
        values, k=min(SIDE, values.num_rows), sort_keys=[("value", order), ("uri", "ascending")]
    )
    chart = _chart(rule.signal, evidence, kept, reason, threshold)
    return Limit(reason, rule.signal, threshold, chart, count, nearest, values.take(place).to_pylist())


def _chart(
    signal: Signal, evidence: Evidence, kept: pa.Table, reason: str | None = None, threshold: float | None = None
) -> Markup | None:
    """Draw all measured images, or only the kept ones where no others are known any more."""
    weight = evidence.weight
    if evidence.measured is not None:
        values, why = signal.column(evidence.measured, pa.float64()), evidence.measured["reason"]
    else:
        kept = samples.rows(kept.select(["width", "height", *SIGNALS]), samples.SIGNAL_ROWS)
        values, why = signal.column(kept, pa.float64()), pa.chunked_array([pa.nulls(kept.num_rows, pa.string())])
    numbers = values.to_numpy()
    good = np.isfinite(numbers)
    if not good.any():
        return None
    this = pc.fill_null(pc.equal(why, reason or ""), False).to_numpy()
    left = pc.is_null(why).to_numpy()
    classes = ((KEPT, left), (OTHER, ~left & ~this), (reason_text.group(reason or ""), this))
    stacks = [(group, numbers[good & mask]) for group, mask in classes]
    span = signal.span or (0.0, _right_edge(numbers[good], threshold if this.any() else None))
    return histogram(stacks, span, name=signal.title.lower(), threshold=threshold, weight=weight)


def _right_edge(values: np.ndarray, threshold: float | None) -> float:
    edge = max(float(np.percentile(values, 97)), 1e-3)
    return max(edge, 1.1 * threshold) if threshold is not None else edge


def rules_of(recipe: Any) -> list[dict[str, Any]]:
    """Return the rules of a recipe as it was published."""
    rules = recipe.get("curation", {}) if isinstance(recipe, dict) else {}
    for key in ("quality", "rules"):
        rules = rules.get(key, {}) if isinstance(rules, dict) else {}
    return [rule for rule in _listed(rules) if isinstance(rule, dict) and "kind" in rule]


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else []
