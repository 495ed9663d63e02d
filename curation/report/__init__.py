"""The report of one dataset version: what was kept, what was dropped, and the evidence, as one HTML file."""

from curation.report.dataset import render
from curation.report.evidence import Evidence, read_evidence

__all__ = ["Evidence", "read_evidence", "render"]
