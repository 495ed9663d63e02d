"""The report of one dataset version: what was kept, what was dropped, and the evidence, as one HTML file.

report.py puts together what the others count and draw · evidence.py, samples.py, pictures.py: what is read for it
funnel.py, counts.py, balance.py: how many · gallery.py, copy_groups.py, thresholds.py: which, and where the limits lie.
"""

from flows.report.dataset.evidence import Evidence, read_evidence
from flows.report.dataset.report import render

__all__ = ["Evidence", "read_evidence", "render"]
