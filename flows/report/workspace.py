"""From the files of a workspace to its report; needs no database and no server, only the folder."""

from typing import Any

from flows.report.kit.pages import page
from flows.report.run.read import facts
from flows.report.run.scores import Evaluated, evaluations, score_charts, score_table
from flows.report.run.training import training
from shared.dataset_version import FOLDER, dataset_names, versions
from shared.storage import Store

RUNS_SHOWN = 12


def render_workspace(workspace: Store) -> str:
    """Return the report as one self-contained HTML page; links in it are relative to the workspace's root."""
    datasets, runs = _datasets(workspace), _runs(workspace)
    scored = evaluations(workspace)
    return page(
        "flows.report",
        "workspace.html",
        url=workspace.url,
        datasets=datasets,
        runs=[training(workspace, run) for run in runs[:RUNS_SHOWN]],
        more_runs=runs[RUNS_SHOWN:],
        scores=score_table(scored),
        charts=score_charts(scored),
        steps=_next(workspace.url, datasets, runs, scored),
    )


def _datasets(workspace: Store) -> list[dict[str, Any]]:
    """Return every published version, the newest of each dataset first."""
    rows = []
    for name in dataset_names(workspace):
        for version in reversed(versions(workspace, name)):
            folder = f"{FOLDER}/{name}/{version}"
            info = facts(workspace, f"{folder}/dataset.json")
            counts = info.get("counts", {})
            report = f"{folder}/report.html"
            rows.append(
                {
                    "name": name,
                    "version": version,
                    "created": str(info.get("created", ""))[:16].replace("T", " "),
                    "kept": counts.get("kept", 0),
                    "dropped": counts.get("dropped", 0),
                    "report": report if workspace.exists(report) else None,
                }
            )
    return rows


def _runs(workspace: Store) -> list[str]:
    """Return the runs, the one that was written last first."""

    def written(run: str) -> str:
        for name in ("metrics.jsonl", "config.json"):
            path = workspace.path("runs", run, name)
            if workspace.exists(f"runs/{run}/{name}"):
                info = workspace.fs.info(path)
                return str(info.get("mtime", info.get("LastModified", "")))
        return ""

    return sorted(workspace.names("runs"), key=lambda run: (written(run), run), reverse=True)


def _next(url: str, datasets: list[dict[str, Any]], runs: list[str], scored: list[Evaluated]) -> list[tuple[str, str]]:
    """Return what to do now: a sentence and its command."""
    if not datasets:
        return [
            ("See the whole pipeline work on a small corpus, in minutes:", "dinoflow demo"),
            ("Curate images of your own:", f"dinoflow curate --workspace {url} --source FOLDER_OF_IMAGES"),
        ]
    last = datasets[0]
    explain = ("Ask why one image was kept or dropped:", f"dinoflow explain {url} URI_OR_ID")
    if not runs:
        train = ("Train a backbone on it:", f"dinoflow pretrain --workspace {url} --name {last['name']}")
        return [train, explain]
    if not scored:
        score = ("Score the newest checkpoint:", f"dinoflow evaluate --workspace {url}")
        return [score, explain]
    return [
        ("The same with photos of your own:", "dinoflow run laptop --source YOUR_PHOTOS"),
        ("Take the model out, for timm and transformers:", f"dinoflow export {url.rstrip('/')}/runs/{runs[0]}"),
        ("See what a larger run would cost before spending anything:", "dinoflow plan dinov2-vitl14"),
        explain,
    ]
