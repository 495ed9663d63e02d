"""`dinoflow report WORKSPACE`: the pages of the workspace and of its runs, and dataset versions that lack theirs."""

from typing import Any

from flows.commands.console import Console
from flows.inspect.workspace import existing
from flows.report import render_workspace
from shared.dataset_version import dataset_names, open_version, versions


def draw_reports(workspace: str) -> dict[str, Any]:
    """Draw the pages of the workspace and its runs; a dataset's report is drawn again where its file was deleted."""
    from flows.pipeline import ReportRequest, draw_report, draw_run

    console, store = Console(), existing(workspace)
    for name in dataset_names(store):
        for version in versions(store, name):
            dataset = open_version(store, name, version)
            if not dataset.store.exists("report.html"):
                draw_report(ReportRequest(store.url, name, version))
                console.say(dataset.store.place("report.html"))
    runs = store.names("runs")
    for run in runs:
        console.say(draw_run(store, run))
    store.write("report.html", render_workspace(store))
    console.say(store.place("report.html"))
    return {
        "report": store.place("report.html"),
        "runs": {run: store.place("runs", run, "report.html") for run in runs},
    }
