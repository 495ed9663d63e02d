"""Where each quality rule draws its line: the spread of its signal, and the images just on either side."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from curation.quality import DEFAULT_RULES
from flows.report.dataset import samples
from flows.report.dataset.evidence import Evidence
from flows.report.dataset.pictures import Pictures, name_of
from flows.report.kit import reason_text
from flows.report.kit.charts import histogram
from shared.catalog import SIGNALS

SIDE = 4
"""Pictures on either side of a limit."""
SIGNAL_OF: dict[str, tuple[str, bool]] = {rule.kind: (rule.signal, rule.below) for rule in DEFAULT_RULES}
"""Rule → the signal that it looks at, and whether it drops what lies below."""
KEPT, THIS, OTHER = "kept", "quality", "broken"
"""Colours: kept, dropped by the rule, dropped for another reason."""


@dataclass(frozen=True)
class Limit:
    """One rule, or a signal that no rule looks at."""

    reason: str | None
    signal: str | None
    threshold: float | None
    chart: Markup | None
    count: int
    dropped: list[dict[str, Any]]
    kept: list[dict[str, Any]]

    def uris(self) -> set[str]:
        """Return the uris whose bytes are needed."""
        return {row["uri"] for row in [*self.dropped, *self.kept]}

    def facts(self, pictures: Pictures) -> dict[str, Any]:
        """Return what the page says."""
        title, unit, _ = reason_text.SIGNALS_IN_WORDS.get(
            self.signal or "", (reason_text.title(self.reason or ""), "", None)
        )
        return {
            "title": reason_text.title(self.reason) if self.reason else title,
            "signal": title,
            "unit": unit,
            "reason": self.reason,
            "threshold": self.threshold,
            "chart": self.chart,
            "count": self.count,
            "pixels": self.reason == "too_small",
            "dropped": [self._card(row, pictures) for row in self.dropped],
            "kept": [self._card(row, pictures) for row in self.kept],
        }

    def _card(self, row: dict[str, Any], pictures: Pictures) -> dict[str, Any]:
        value = reason_text.signal_value(self.reason or "", row["value"], self.threshold)
        return {"picture": pictures.of(row["uri"]), "uri": row["uri"], "name": name_of(row["uri"]), "value": value}


def limits(kept: pa.Table, dropped: pa.Table, evidence: Evidence, recipe: dict[str, Any]) -> list[Limit]:
    """Return one entry for each rule, then one for each signal that no rule looks at."""
    counts = samples.frequencies(dropped["reason"])
    found = [
        reason for reason in counts if reason_text.group(reason) == "quality"
    ]  # rules of the recipe come first, those that only the tables know of after them
    rules = list(dict.fromkeys([rule["kind"] for rule in rules_of(recipe)] + found))
    told = [_of_rule(reason, kept, dropped, evidence, recipe, counts.get(reason, 0)) for reason in rules]
    free = [signal for signal in SIGNALS if signal not in {limit.signal for limit in told}]
    lone = [Limit(None, signal, None, chart, 0, [], []) for signal in free if (chart := _chart(signal, evidence, kept))]
    return [*(limit for limit in told if limit.count or limit.kept), *lone]


def _of_rule(
    reason: str, kept: pa.Table, dropped: pa.Table, evidence: Evidence, recipe: dict[str, Any], count: int
) -> Limit:
    mine = samples.of_reason(dropped, reason)
    told = mine["threshold"].drop_null()
    given = [rule["threshold"] for rule in rules_of(recipe) if rule["kind"] == reason and "threshold" in rule]
    threshold = float(given[0]) if given else float(told[0].as_py()) if len(told) else None
    judged = mine.filter(pc.is_valid(mine["value"]))
    nearest = samples.nearest_the_limit(judged, SIDE).select(["uri", "value"]).to_pylist()
    signal, below = SIGNAL_OF.get(reason, ("", True))
    if not signal:
        return Limit(reason, None, threshold, None, count, nearest, [])
    order = "ascending" if below else "descending"
    values = pa.table({"uri": kept["uri"], "value": column(kept, signal)})
    values = values.filter(pc.is_finite(values["value"]))
    place = pc.select_k_unstable(
        values, k=min(SIDE, values.num_rows), sort_keys=[("value", order), ("uri", "ascending")]
    )
    chart = _chart(signal, evidence, kept, reason, threshold)
    return Limit(reason, signal, threshold, chart, count, nearest, values.take(place).to_pylist())


def column(table: pa.Table, signal: str) -> pa.ChunkedArray:
    """Return a stored signal, or one that follows from the size."""
    if signal == "shorter_side":
        return pc.min_element_wise(table["width"], table["height"], skip_nulls=False).cast(pa.float64())
    if signal == "megapixels":
        return pc.divide(pc.multiply(table["width"].cast(pa.float64()), table["height"]), 1e6)
    return table[signal].cast(pa.float64())


def _chart(
    signal: str, evidence: Evidence, kept: pa.Table, reason: str | None = None, threshold: float | None = None
) -> Markup | None:
    """Draw all measured images, or only the kept ones where no others are known any more."""
    weight = evidence.weight
    if evidence.measured is not None:
        values, why = column(evidence.measured, signal), evidence.measured["reason"]
    else:
        kept = samples.rows(kept.select(["width", "height", *SIGNALS]), samples.SIGNAL_ROWS)
        values, why = column(kept, signal), pa.chunked_array([pa.nulls(kept.num_rows, pa.string())])
    told = values.to_numpy()
    good = np.isfinite(told)
    if not good.any():
        return None
    this = pc.fill_null(pc.equal(why, reason or ""), False).to_numpy()
    left = pc.is_null(why).to_numpy()
    classes = ((KEPT, left), (OTHER, ~left & ~this), (THIS, this))
    stacks = [(group, told[good & mask]) for group, mask in classes]
    _, _, fixed = reason_text.SIGNALS_IN_WORDS[signal]
    span = fixed or (0.0, _right_edge(told[good], threshold if this.any() else None))
    name = reason_text.SIGNALS_IN_WORDS[signal][0].lower()
    return histogram(stacks, (float(span[0]), float(span[1])), name=name, threshold=threshold, weight=weight)


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
