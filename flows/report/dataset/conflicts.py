"""Copies of one picture under different labels, on the page: which labels, how often, and some of the pictures."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flows.report.dataset import samples
from flows.report.dataset.pictures import Thumbnails, name_of
from flows.report.kit import reason_text
from flows.report.kit.reason_text import Checks

PAIRS, KINDS = 8, 30


@dataclass(frozen=True)
class LabelConflicts:
    """What is shown of the table CONFLICTS."""

    total: int
    kinds: list[tuple[str, str, int]]
    """Label of the copy, label of the image that stands for it, and how often; the most frequent first."""
    all_kinds: int
    pairs: list[dict[str, Any]]
    checks: Checks

    @classmethod
    def choose(cls, conflicts: pa.Table, checks: Checks) -> "LabelConflicts":
        """Count the labels, and take some pairs."""
        labels = ["label", "kept_label"]
        counted = conflicts.group_by(labels).aggregate([([], "count_all")])
        keys = [("count_all", "descending"), ("label", "ascending"), ("kept_label", "ascending")]
        kinds = [(row["label"], row["kept_label"], row["count_all"]) for row in counted.sort_by(keys).to_pylist()]
        pairs = samples.rows(conflicts, PAIRS).to_pylist()
        return cls(conflicts.num_rows, kinds[:KINDS], len(kinds), pairs, checks)

    def uris(self) -> set[str]:
        """Return the uris whose bytes are needed."""
        return {row[side] for row in self.pairs for side in ("uri", "kept_uri")}

    def facts(self, pictures: Thumbnails) -> dict[str, Any]:
        """Return what the page says."""
        cards = [
            {
                "sides": [
                    (
                        tag,
                        row[f"{side}uri"],
                        name_of(row[f"{side}uri"]),
                        row[f"{side}label"],
                        pictures.of(row[f"{side}uri"]),
                    )
                    for tag, side in (("kept", "kept_"), ("dropped", ""))
                ],
                "evidence": reason_text.evidence(row["reason"], row["value"], None, self.checks),
            }
            for row in self.pairs
        ]
        return {"total": self.total, "kinds": self.kinds, "all_kinds": self.all_kinds, "cards": cards}
