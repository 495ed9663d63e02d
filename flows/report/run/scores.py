"""What the page says of evaluations: every score beside its baselines, and how scores grow with the steps."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from flows.report.kit.charts import Series, lines
from flows.report.run.read import facts, is_number
from shared.storage import Store
from training.runs.scores import PIXELS, UNTRAINED

BASELINES = {UNTRAINED: "untrained model", PIXELS: "raw pixels"}
"""Key in the file → what it is called on the page."""


@dataclass(frozen=True)
class Evaluated:
    """One checkpoint's scores on one dataset."""

    run: str
    step: int
    dataset: str
    scores: dict[str, float]
    protocols: dict[str, dict[str, Any]]
    baselines: dict[str, dict[str, float]]


def evaluations(workspace: Store) -> list[Evaluated]:
    """Read every file under evaluations/, by run and step."""
    evaluated = []
    for run in workspace.names("evaluations"):
        for name in workspace.names(f"evaluations/{run}"):
            content = facts(workspace, f"evaluations/{run}/{name}") if name.endswith(".json") else {}
            if content.get("scores"):
                evaluated.append(_evaluated(content, run, name))
    return sorted(evaluated, key=lambda one: (one.run, one.step))


def _evaluated(content: dict[str, Any], run: str, name: str) -> Evaluated:
    stem = name.removesuffix(".json")
    step = content.get("step", int(stem) if stem.isdigit() else 0)
    baselines = content.get("baselines") or {}
    return Evaluated(
        run=str(content.get("run", run)),
        step=int(step) if is_number(step) else 0,
        dataset=str(content.get("dataset", "")),
        scores=_values(content["scores"]),
        protocols={key_of(row): row["protocol"] for row in content["scores"] if isinstance(row.get("protocol"), dict)},
        baselines={BASELINES.get(who, who): _values(rows or []) for who, rows in baselines.items()},
    )


def score_table(evaluated: list[Evaluated]) -> dict[str, Any]:
    """Return the newest checkpoint of each run, one row for each score, with the baselines as columns."""
    newest = {(one.run, one.dataset): one for one in evaluated}
    columns = list(dict.fromkeys(name for one in newest.values() for name in one.baselines))
    rows = [
        {
            "run": one.run,
            "step": one.step,
            "dataset": one.dataset,
            "score": key,
            "value": value,
            "share": 0 <= value <= 1,
            "better": all(
                beats(value, baseline[key], one.protocols.get(key, {}))
                for baseline in one.baselines.values()
                if key in baseline
            ),
            "baselines": [one.baselines.get(name, {}).get(key) for name in columns],
            "protocol": protocol_text(one.protocols.get(key, {})),
        }
        for one in newest.values()
        for key, value in one.scores.items()
    ]
    return {"columns": columns, "rows": rows}


def score_charts(evaluated: list[Evaluated], shown: tuple[str, ...] = ("knn top1",)) -> list[dict[str, Any]]:
    """Return a chart over the steps for each of these scores: one line a run, dashed levels for the baselines."""
    keys = dict.fromkeys((one.dataset, key) for one in evaluated for key in one.scores if key in shown)
    charts = []
    for dataset, key in keys:
        of_key = [one for one in evaluated if one.dataset == dataset and key in one.scores]
        series = [
            Series(run, [o.step for o in of_key if o.run == run], [o.scores[key] for o in of_key if o.run == run], True)
            for run in dict.fromkeys(one.run for one in of_key)
        ]
        levels = {name: values[key] for one in of_key for name, values in one.baselines.items() if key in values}
        chart: Markup = lines(series, x_name="step", title=key, baselines=list(levels.items()))
        charts.append({"title": key, "dataset": dataset, "chart": chart})
    return charts


def _values(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {key_of(row): float(row["value"]) for row in rows if is_number(row.get("value"))}


def beats(value: float, other: float, protocol: dict[str, Any]) -> bool:
    """Tell whether a value is better than another by what its protocol calls better."""
    return value < other if protocol.get("better") == "lower" else value > other


def protocol_text(protocol: dict[str, Any]) -> str:
    """Write a protocol: each setting and its value."""
    return ", ".join(
        f"{name} ({protocol_text(setting)})" if isinstance(setting, dict) else f"{name} {_short(setting)}"
        for name, setting in protocol.items()
    )


def _short(setting: Any) -> str:
    if isinstance(setting, list):
        return " / ".join(_short(one) for one in setting)
    return f"{setting:.3g}" if isinstance(setting, float) else str(setting)


def key_of(row: dict[str, Any]) -> str:
    """Name a score by its evaluation and metric, and by its set where that is not the published dataset."""
    on = f" on {row['set']}" if row.get("set") else ""
    return f"{row.get('evaluation', '?')} {row.get('metric', '')}".strip() + on
