"""A run among others: every run and every other model that was scored on the same images, each with its protocol."""

from typing import Any, NamedTuple

from flows.report.run.read import facts
from flows.report.run.scores import Evaluated
from shared.storage import Store
from training.runs.scores import MODELS, PIXELS, title

MOST = 30

Protocols = dict[str, dict[str, Any]]


class ScoredModel(NamedTuple):
    """A run, a model or a baseline, with its scores by name."""

    name: str
    step: int | None
    scores: dict[str, float]
    protocols: Protocols


def compared(workspace: Store, everything: list[Evaluated], run: str) -> list[dict[str, Any]]:
    """Return a table for each dataset that the run was scored on: its columns, and its rows, the highest first."""
    tables = []
    for dataset in dict.fromkeys(one.dataset for one in everything if one.run == run):
        newest = {one.run: one for one in everything if one.dataset == dataset}
        this = newest[run]
        rows = [ScoredModel(one.run, one.step, one.scores, one.protocols) for one in newest.values()]
        rows += [ScoredModel(name, None, values, {}) for name, values in this.baselines.items()]
        rows += [row for row in _models(workspace, dataset) if row.name not in this.baselines]
        columns = list(this.scores)
        falling = {key for key in columns if this.protocols.get(key, {}).get("better") == "lower"}
        rows.sort(key=lambda row: -row.scores.get(columns[0], -1.0))
        tables.append(
            {
                "dataset": dataset,
                "columns": columns,
                "best": [
                    (min if key in falling else max)(
                        (row.scores[key] for row in rows if key in row.scores), default=None
                    )
                    for key in columns
                ],
                "rows": [
                    {
                        "name": row.name,
                        "step": row.step,
                        "this": row.name == run,
                        "other": _differences(row.protocols, this.protocols),
                        "values": [row.scores.get(key) for key in columns],
                    }
                    for row in rows[:MOST]
                ],
            }
        )
    return tables


def _models(workspace: Store, dataset: str) -> list[ScoredModel]:
    """Return the models that were scored on a dataset, each as it was scored last."""
    models: dict[str, ScoredModel] = {}
    for name in workspace.names(MODELS):
        for score in facts(workspace, f"{MODELS}/{name}").get("results", []):
            if score["set"] == dataset and score["model"] != PIXELS:
                row = models.setdefault(score["model"], ScoredModel(score["model"], None, {}, {}))
                key = title(score)
                row.scores[key], row.protocols[key] = float(score["value"]), score["protocol"]
    return list(models.values())


def _differences(protocols: Protocols, reference: Protocols) -> str:
    """Return the settings in which a protocol is not the run's, such as `image_size 224`."""
    settings: dict[str, Any] = {}
    for key in protocols.keys() & reference.keys():
        settings |= {name: value for name, value in protocols[key].items() if reference[key].get(name) != value}
    return ", ".join(f"{name} {value}" for name, value in sorted(settings.items()))
