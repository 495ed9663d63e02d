"""The report of a workspace: its datasets, training runs and scores, as one HTML file."""

from flows.report.workspace import render_workspace

__all__ = ["render_workspace"]
