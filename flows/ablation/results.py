"""The facts of an ablation: what each variant changed, its scores, and what may be claimed of them."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from flows.ablation.page import render_ablation
from flows.ablation.statistics import LEVEL, POWER, holm, mean_sd, paired, word
from flows.ablation.trainings import Ablation, Scored
from flows.ablation.variant_datasets import Curated
from flows.report.run.scores import BASELINES
from training.runs.scores import score_label

PREFERRED = ("knn top1", "linear top1")
"""The verdict is on the first of these, on the first set that the evaluation names: one question, one answer."""


def results(ablation: Ablation, failed: list[str]) -> dict[str, Any]:
    """Return everything that results.json holds."""
    scored = [
        [ablation.scored(ablation.proxy(one, seed)) for seed in range(ablation.seeds)] for one in ablation.curated
    ]
    tables = [[_values(run["scores"]) if run else {} for run in row] for row in scored]
    protocols = {
        score_label(score): score["protocol"] for row in scored for run in row if run for score in run["scores"]
    }
    measured = {name: _compared(name, tables, ablation, how) for name, how in protocols.items()}
    chosen = _verdict_on(list(protocols))
    questions, optim = ablation.questions, ablation.proxy(ablation.curated[0], 0).params.optim
    return {
        "name": ablation.name,
        "verdict_on": chosen,
        "protocol": protocols.get(chosen or "", {}),
        "proxy": {"steps": optim.steps, "batch_size": optim.batch_size, "seeds": ablation.seeds},
        "questions": {
            "dataset": f"{questions.dataset.name} {questions.dataset.version}",
            "queries": questions.queries,
            "classes": questions.classes,
            "bank": questions.bank,
            "sets": [one.name or one.kind for one in ablation.recipe.evaluation.sets],
            "guarded": bool(questions.queries or ablation.recipe.curation.decontaminate.sets),
        },
        "statistics": {
            "level": LEVEL,
            "power": POWER,
            "test": "paired t over seeds",
            "correction": _correction(ablation),
        },
        "variants": [
            {**_changed(one, ablation), "runs": _runs(one, row, ablation)}
            | {"metrics": {name: measured[name][i] for name in measured}}
            for i, (one, row) in enumerate(zip(ablation.curated, scored, strict=True))
        ],
        "baselines": _baselines(scored),
        "failed": failed,
    }


def _verdict_on(metrics: list[str]) -> str | None:
    """Return the metric that decides; a score on a named set is called `METRIC on SET`."""
    for preferred in PREFERRED:
        for name in metrics:
            if name == preferred or name.startswith(f"{preferred} on "):
                return name
    return None


def _compared(
    metric: str, tables: list[list[dict[str, float]]], ablation: Ablation, protocol: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return, for each variant, its scores of one metric and the difference to the baseline."""
    step = 1 / protocol["queries"] if "top1" in metric and protocol.get("queries") else 0.0
    first = ablation.curated[0]
    rows: list[dict[str, Any]] = []
    for one, row in zip(ablation.curated, tables, strict=True):
        scores = [values[metric] for values in row if metric in values]
        both = [(a[metric], b[metric]) for a, b in zip(row, tables[0], strict=True) if metric in a and metric in b]
        mean, sd = mean_sd(scores) if scores else (None, None)
        compared: dict[str, Any] = {"scores": scores, "mean": mean, "sd": sd, "difference": None, "p_holm": None}
        if one is not first and _same(one, first):
            compared["verdict"] = "same images"
        elif one is not first:
            of_variant, of_baseline = ([pair[side] for pair in both] for side in (0, 1))
            compared["difference"] = paired(of_variant, of_baseline, step) if both else None
        rows.append(compared)
    tested = [row for row in rows if row["difference"] is not None and row["difference"].p is not None]
    for compared, adjusted in zip(tested, holm([row["difference"].p for row in tested]), strict=True):
        compared["p_holm"] = adjusted
    for compared in rows:
        if compared["difference"] is not None:
            compared["verdict"] = word(compared["difference"], compared["p_holm"])
            compared["difference"] = asdict(compared["difference"])
    return rows


def _same(one: Curated, other: Curated) -> bool:
    return one.selection == other.selection and one.variant.recipe.training == other.variant.recipe.training


def _changed(one: Curated, ablation: Ablation) -> dict[str, Any]:
    """Return what a variant is, and what it made of the images."""
    counts, optim = one.dataset.info["counts"], ablation.proxy(one, 0).params.optim
    rows = np.flatnonzero(one.trained)
    groups = len(np.unique(one.group[rows]))
    twin = next((other for other in ablation.curated if other is not one and _same(one, other)), None)
    return {
        "name": one.variant.name,
        "settings": list(one.variant.settings),
        "dataset": f"{one.dataset.name} {one.dataset.version}",
        "kept": counts["kept"],
        "dropped": counts["reasons"],
        "trained_on": len(rows),
        "copies": (len(rows) - groups) / max(1, len(rows)),
        "epochs": optim.steps * optim.batch_size / max(1, len(rows)),
        "equal_compute": one.variant.equal_compute,
        "same_images_as": twin.variant.name if twin else None,
    }


def _runs(one: Curated, row: list[Scored | None], ablation: Ablation) -> list[dict[str, Any]]:
    return [
        {"seed": seed, "run": ablation.proxy(one, seed).run, "done": scored is not None}
        | ({"seconds": scored["seconds"], "scores": _values(scored["scores"])} if scored else {})
        for seed, scored in enumerate(row)
    ]


def _baselines(scored: list[list[Scored | None]]) -> dict[str, dict[str, float]]:
    """Return the means of the untrained model and of raw pixels, over the baseline's seeds."""
    beside = [run["baselines"] for run in scored[0] if run]
    named = {who: [_values(one[who]) for one in beside] for who in (beside[0] if beside else {})}
    return {
        BASELINES.get(who, who): {name: float(np.mean([one[name] for one in values])) for name in values[0]}
        for who, values in named.items()
    }


def _correction(ablation: Ablation) -> str:
    tested = len(ablation.curated) - 1
    return f"Holm over {tested} variants" if tested > 1 else "none: one variant"


def _values(scores: list[dict[str, Any]]) -> dict[str, float]:
    return {score_label(score): float(score["value"]) for score in scores}


FOLDER = "ablations"


def write(ablation: Ablation, failed: list[str]) -> dict[str, Any]:
    """Write WORKSPACE/ablations/NAME and return the facts."""
    facts, folder = results(ablation, failed), f"{FOLDER}/{ablation.name}"
    ablation.store.write(f"{folder}/results.json", json.dumps(facts, indent=1))
    ablation.store.write(f"{folder}/report.html", render_ablation(facts))
    return facts
