"""`dinoflow report WORKSPACE`: the workspace's page, and the reports of dataset versions that lack one."""

from typing import Any

from flows.console import Console
from flows.looking.opening import existing
from flows.report import render_workspace
from shared.published import FOLDER, open_version, versions


def draw_reports(workspace: str) -> dict[str, Any]:
    """Draw the workspace's page and say where it is; a dataset's report is drawn again where its file was deleted."""
    from flows.pipeline import Report, draw_report

    console, store = Console(), existing(workspace)
    for name in store.names(FOLDER):
        for version in versions(store, name):
            dataset = open_version(store, name, version)
            if not dataset.store.exists("report.html"):
                draw_report(Report(store.url, name, version))
                console.say(dataset.store.path("report.html"))
    store.write("report.html", render_workspace(store))
    console.say(store.path("report.html"))
    return {"report": store.path("report.html")}
