"""The report of one dataset version: what was kept, what was dropped, and the evidence, as one HTML file."""

from flows.report.dataset.evidence import Evidence, read_evidence
from flows.report.dataset.report import render

__all__ = ["Evidence", "read_evidence", "render"]
