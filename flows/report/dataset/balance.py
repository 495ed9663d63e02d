"""What the last stages did: evaluation sets that were protected, and clusters that were thinned out."""

from collections import Counter
from typing import Any

import pyarrow as pa

from flows.report.dataset import samples
from flows.report.dataset.balance_text import balance_lines
from flows.report.dataset.evidence import Evidence
from flows.report.dataset.look_first import unreadable_of
from flows.report.kit.charts import Series, lines

POINTS = 400


def contamination(dropped: pa.Table, evidence: Evidence, info: dict[str, Any]) -> list[dict[str, Any]]:
    """Return, for each evaluation set, how many images resembled one of its own, and how many were dropped for it."""
    search = info.get("search", {}).get("decontaminate")
    resembling: dict[str, int] = search.get("contaminated", {}) if isinstance(search, dict) else {}
    uris = samples.of_reason(dropped, "contaminated")["kept_uri"].to_pylist()
    taken = Counter(evidence.sets.get(uri, "") for uri in uris)
    unreadable = unreadable_of(info)
    names = list(dict.fromkeys([*resembling, *(name for name in taken if name)]))
    traced = bool(evidence.sets)
    return [
        {"name": name, "found": resembling.get(name, taken[name]), "dropped": taken[name] if traced else None}
        | {"unreadable": unreadable.get(name, 0)}
        for name in names
    ]


def clusters(kept: pa.Table, evidence: Evidence, info: dict[str, Any]) -> dict[str, Any] | None:
    """Return sizes of clusters before and after, a chart of them, and words; None where nothing was balanced."""
    if evidence.clusters is not None and evidence.clusters.num_rows:
        before, after = (evidence.clusters[name].to_pylist() for name in ("before", "after"))
    else:
        before, after = [], sorted(samples.frequencies(kept["cluster"]).values(), reverse=True)
    if not after:
        return None
    ranks = list(range(1, len(after) + 1))
    series = [Series("before", ranks, before)] if before else []
    series.append(Series("after", ranks, after, dots=len(after) == 1))
    chart = lines(series, x_name="cluster, largest first", title="Images in each cluster", zero=True)
    facts = {"all": len(after), "chart": chart, "after": sum(after), "largest_after": max(after)}
    words = [line[0].upper() + line[1:] for line in balance_lines(info)]
    return facts | {"before": sum(before), "largest_before": max(before, default=0), "lines": words}
