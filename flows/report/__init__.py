"""The reports of a workspace and of its runs, each as one HTML file."""

from flows.report.run.report import render_run
from flows.report.workspace import render_workspace

__all__ = ["render_run", "render_workspace"]
