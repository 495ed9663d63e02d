"""Examples: some kept images, and some that were dropped for each reason."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.quality import RULES
from curation.quality.signals import SHORTER_SIDE
from flows.report.dataset import samples
from flows.report.dataset.pictures import Thumbnails, name_of
from flows.report.dataset.unreadable import unreadable_files
from flows.report.kit import reason_text
from flows.report.kit.reason_text import Checks

KEPT, PAIRS, OTHERS = 35, 6, 7
EVIDENCE = ["uri", "value", "threshold", "kept_uri", "orientation"]


@dataclass(frozen=True)
class Gallery:
    """The rows that are shown."""

    kept: list[dict[str, Any]]
    dropped: dict[str, list[dict[str, Any]]]
    sizes: dict[str, str]
    """Width × height of the kept images of pairs."""
    sets: dict[str, str]
    """Uri of an evaluation image → its set."""
    checks: Checks
    errors: list[dict[str, Any]]
    """Every error of unreadable files, with the files of each."""

    @classmethod
    def choose(
        cls, kept: pa.Table, dropped: pa.Table, reasons: list[str], sets: dict[str, str], checks: Checks
    ) -> "Gallery":
        """Sample the kept images, and each reason."""
        chosen = {reason: _chosen(samples.of_reason(dropped, reason), reason) for reason in reasons}
        partners = {row["kept_uri"] for rows in chosen.values() for row in rows if row["kept_uri"]}
        pairs = kept.filter(pc.is_in(kept["uri"], pa.array(sorted(partners), pa.string())))
        sizes = {row["uri"]: f"{row['width']} × {row['height']}" for row in _list(pairs, ["uri", "width", "height"])}
        shown = _list(samples.images(kept, KEPT), ["uri", "label", "width", "height"])
        return cls(shown, chosen, sizes, sets, checks, unreadable_files(samples.of_reason(dropped, "unreadable")))

    def uris(self) -> set[str]:
        """Return the uris whose bytes are needed."""
        uris = {row["uri"] for row in self.kept}
        for rows in self.dropped.values():
            uris |= {row["uri"] for row in rows} | {row["kept_uri"] for row in rows if row["kept_uri"]}
        return uris

    def kept_cards(self, pictures: Thumbnails) -> list[dict[str, Any]]:
        """Return the kept images with what is written under them."""
        return [
            {
                "picture": pictures.of(row["uri"]),
                "uri": row["uri"],
                "name": row["label"] or name_of(row["uri"]),
                "size": f"{row['width']} × {row['height']}",
            }
            for row in self.kept
        ]

    def section(self, reason: str, pictures: Thumbnails) -> dict[str, Any]:
        """Return one reason's cards: pairs, single pictures or error texts."""
        shape = "errors" if reason == "unreadable" else "pairs" if reason in reason_text.PAIRED else "pictures"
        cards = [self._card(reason, row, pictures, shape) for row in self.dropped[reason]]
        return {
            "name": reason,
            "title": reason_text.title(reason),
            "meaning": reason_text.meaning(reason, self.checks),
            "group": reason_text.group(reason),
            "shape": shape,
            "pixels": reason in RULES and RULES[reason].signal is SHORTER_SIDE,
            "errors": self.errors,
            "cards": cards,
        }

    def _card(self, reason: str, row: dict[str, Any], pictures: Thumbnails, shape: str) -> dict[str, Any]:
        kept = row["kept_uri"]
        return {
            "picture": pictures.of(row["uri"]),
            "uri": row["uri"],
            "name": name_of(row["uri"]),
            "evidence": reason_text.evidence(reason, row["value"], row["threshold"], self.checks)
            + reason_text.turned(row["orientation"]),
            "kept_uri": kept or "",
            "kept_name": name_of(kept) if kept else "",
            "kept_picture": pictures.of(kept) if kept and shape == "pairs" else None,
            "kept_tag": reason_text.tag(reason, kept in self.sizes),
            "kept_size": self.sizes.get(kept or "", "") or self.sets.get(kept or "", ""),
        }


def _chosen(rows: pa.Table, reason: str) -> list[dict[str, Any]]:
    most = 0 if reason == "unreadable" else PAIRS if reason in reason_text.PAIRED else OTHERS
    return _list(samples.images(rows, most), EVIDENCE)


def _list(rows: pa.Table, columns: list[str]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = rows.select(columns).to_pylist()
    return listed
