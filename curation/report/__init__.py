"""The report of one dataset version: what was kept, what was dropped, and the evidence, as one HTML file."""

from curation.report.dataset import render

__all__ = ["render"]
