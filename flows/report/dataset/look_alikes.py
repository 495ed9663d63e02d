"""Pairs of kept images that look alike and were not taken for copies: where the evidence was not enough, both stay."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup.geometry.verdicts import LOOK_ALIKE
from flows.report.dataset.pictures import Thumbnails, name_of

VERDICT = "verdict"
"""The column of VERIFIED that tells the verdict of a pair, where there is one."""
PAIRS = 8


@dataclass(frozen=True)
class LookAlikes:
    """The pairs that are shown, those most alike first."""

    total: int
    pairs: list[dict[str, Any]]

    @classmethod
    def choose(cls, kept: pa.Table, pairs: pa.Table | None) -> "LookAlikes":
        """Take the pairs with the highest scores of which both images are kept."""
        if pairs is None or VERDICT not in pairs.column_names:
            return cls(0, [])
        alike = pairs.filter(pc.equal(pairs[VERDICT].cast(pa.string()), LOOK_ALIKE))
        for side in ("uri", "other_uri"):
            alike = alike.filter(pc.is_in(alike[side], kept["uri"].combine_chunks()))
        keys = [("score", "descending"), ("uri", "ascending"), ("other_uri", "ascending")]
        best = alike.take(pc.select_k_unstable(alike, k=min(PAIRS, alike.num_rows), sort_keys=keys))
        return cls(alike.num_rows, best.select(["uri", "other_uri", "score"]).to_pylist())

    def uris(self) -> set[str]:
        """Return the uris whose bytes are needed."""
        return {row[side] for row in self.pairs for side in ("uri", "other_uri")}

    def facts(self, pictures: Thumbnails) -> dict[str, Any]:
        """Return what the page says."""
        cards = [
            {"pictures": [(uri, name_of(uri), pictures.of(uri)) for uri in (row["uri"], row["other_uri"])]}
            | {"evidence": f"match {row['score']:.2f}"}
            for row in self.pairs
        ]
        return {"total": self.total, "cards": cards}
