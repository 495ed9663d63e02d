"""The report of one dataset version: what was kept, what was dropped, and the evidence, as one HTML file.

report.py puts the page together · funnel.py, counts.py: how many · gallery.py: examples of each reason
thresholds.py: where each rule draws its line · copy_groups.py: copies · balance.py: the last stages
evidence.py reads the stage cache · samples.py chooses rows · pictures.py makes thumbnails.
"""

from flows.report.dataset.evidence import Evidence, read_evidence
from flows.report.dataset.pictures import remembered_thumbnails
from flows.report.dataset.report import render

__all__ = ["Evidence", "read_evidence", "remembered_thumbnails", "render"]
