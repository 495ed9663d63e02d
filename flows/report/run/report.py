"""The report of a run: did it learn, is it healthy, what does it see. Drawn from files alone, however unfinished."""

import json
from typing import Any

from flows.report.kit.charts import Series, lines
from flows.report.kit.pages import page
from flows.report.run import curves
from flows.report.run.comparison import compared
from flows.report.run.read import column, facts, is_number, rows
from flows.report.run.scores import Evaluated, evaluations, protocol_text
from flows.report.run.snapshots import seen
from flows.report.run.training import pictures
from flows.report.run.verdict import alarms_of, healthy, learned
from shared.dataset_version import FOLDER
from shared.storage import Store
from training.runs.best import KNN

ONLINE = "knn_top1"
OTHER_K = " k="
"""In the names of k-NN scores that the table has and no chart needs."""


def render_run(workspace: Store, run: str) -> str:
    """Return the report as one self-contained HTML page; links in it are relative to the run's folder."""
    store = workspace.sub("runs", run)
    table, config = rows(store, "metrics.jsonl"), facts(store, "config.json")
    result, best = facts(store, "pretrain.json"), facts(store, "best.json") or None
    everything = evaluations(workspace)
    scored = [one for one in everything if one.run == run]
    dataset = str(config.get("dataset", ""))
    last = table[-1] if table else {}
    return page(
        "flows.report.run",
        "run.html",
        run=run,
        url=workspace.url,
        name=dataset.partition(" ")[0],
        head=_head(config, table, result),
        dataset=_dataset(workspace, dataset),
        finished=bool(result),
        best=best,
        verdicts={"learned": learned(scored, best), "healthy": healthy(table, bool(result))},
        scores=_scores(scored),
        charts=_over_steps(scored, table),
        health=curves.draw(table, curves.HEALTH),
        schedules=curves.draw(table, curves.SCHEDULES),
        alarms=alarms_of(table),
        seen=seen(workspace, run, dataset, best["step"] if best else None),
        pictures=pictures(store),
        others=compared(workspace, everything, run),
        last={key: value for key, value in last.items() if is_number(value)},
        config=json.dumps(config, indent=2, ensure_ascii=False) if config else "",
    )


def _head(config: dict[str, Any], table: list[dict[str, Any]], result: dict[str, Any]) -> dict[str, Any]:
    """Return what the run is: model, steps, samples, time."""
    params, resolved = config.get("params", {}), config.get("resolved", {})
    model, optim = params.get("model", {}), params.get("optim", {})
    last = table[-1] if table else {}
    done = int(last["step"]) if is_number(last.get("step")) else 0
    settings = {"steps": optim.get("steps"), "batch_size": optim.get("batch_size"), **resolved}
    return {
        "model": f"ViT of {model['depth']} blocks, width {model['width']}, patch {model['patch_size']}"
        if model
        else "",
        "parameters": resolved.get("backbone_parameters"),
        "step": done,
        "start": params.get("start", ""),
        "steps": settings["steps"] if is_number(settings["steps"]) else None,
        "samples": done * settings["batch_size"] if is_number(settings["batch_size"]) else 0,
        "images": resolved.get("training_images"),
        "seconds": result.get("seconds"),
        "eta": last.get("eta_seconds"),
        "rate": result.get("images_per_second", last.get("images_per_second")),
        "mfu": last.get("mfu"),
        "device": resolved.get("device", ""),
        "processes": resolved.get("processes", 1),
    }


def _dataset(workspace: Store, dataset: str) -> dict[str, Any]:
    name, _, version = dataset.partition(" ")
    report = f"{FOLDER}/{name}/{version}/report.html"
    return {"title": dataset, "report": f"../../{report}" if dataset and workspace.exists(report) else None}


def _scores(scored: list[Evaluated]) -> dict[str, Any]:
    """Return a row for each scored checkpoint and each baseline, and the protocol of each column."""
    columns = list(dict.fromkeys(key for one in scored for key in one.scores))
    levels = {name: values for one in scored for name, values in one.baselines.items()}
    protocols = {key: protocol for one in scored for key, protocol in one.protocols.items()}
    return {
        "columns": columns,
        "rows": [{"step": one.step, "values": [one.scores.get(key) for key in columns]} for one in scored],
        "baselines": [
            {"name": name, "values": [values.get(key) for key in columns]} for name, values in levels.items()
        ],
        "protocols": [{"score": key, "text": protocol_text(protocols[key])} for key in columns if key in protocols],
    }


def _over_steps(scored: list[Evaluated], table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a chart over the steps for each score; k-NN while training is a line beside the one of evaluations."""
    charts = []
    for key in dict.fromkeys(key for one in scored for key in one.scores if OTHER_K not in key):
        with_score = [one for one in scored if key in one.scores]
        series = [
            Series("evaluation", [one.step for one in with_score], [one.scores[key] for one in with_score], dots=True)
        ]
        if key == KNN:
            series.append(Series("while training", *column(table, ONLINE)))
        levels = {name: values[key] for one in with_score for name, values in one.baselines.items() if key in values}
        chart = lines(series, x_name="step", title=key, baselines=list(levels.items()))
        charts.append({"title": key, "hint": "", "chart": chart})
    return charts or curves.draw(table, (curves.KNN,))
