"""The pictures of a report: which ones are shown, and what is written under each."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.report import samples, words
from curation.report.thumbnails import data_uri

KEPT, PAIRS, CLOSE_CALLS, OTHERS, UNREADABLE = 48, 8, 4, 12, 30
EVIDENCE = ["uri", "value", "threshold", "kept_uri", "error"]


@dataclass
class Pictures:
    """Original bytes by uri, and the thumbnails made of them so far."""

    source: dict[str, bytes]
    made: dict[str, str | None] = field(default_factory=dict)

    def of(self, uri: str) -> str | None:
        """Return the thumbnail of a uri; null where there is no picture to show."""
        if uri not in self.made:
            self.made[uri] = data_uri(self.source.get(uri))
        return self.made[uri]


@dataclass(frozen=True)
class Gallery:
    """The rows that are shown."""

    kept: list[dict[str, Any]]
    dropped: dict[str, list[dict[str, Any]]]
    sizes: dict[str, str]
    """Width × height of the kept images of pairs."""

    @classmethod
    def choose(cls, kept: pa.Table, dropped: pa.Table, reasons: list[str]) -> "Gallery":
        """Sample the kept images and each reason; for copies, also those closest to the threshold."""
        chosen = {reason: _chosen(samples.of_reason(dropped, reason), reason) for reason in reasons}
        partners = {row["kept_uri"] for rows in chosen.values() for row in rows if row["kept_uri"]}
        pairs = kept.filter(pc.is_in(kept["uri"], pa.array(sorted(partners), pa.string())))
        sizes = {row["uri"]: f"{row['width']} × {row['height']}" for row in _list(pairs, ["uri", "width", "height"])}
        shown = _list(samples.rows(kept, KEPT), ["uri", "label", "width", "height"])
        return cls(shown, chosen, sizes)

    def uris(self) -> list[str]:
        """Return the uris whose bytes are needed."""
        uris = {row["uri"] for row in self.kept}
        for reason, rows in self.dropped.items():
            if reason != "unreadable":
                uris |= {row["uri"] for row in rows} | {row["kept_uri"] for row in rows if row["kept_uri"]}
        return sorted(uris)

    def kept_cards(self, pictures: Pictures) -> list[dict[str, Any]]:
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

    def section(self, reason: str, pictures: Pictures) -> dict[str, Any]:
        """Return one reason's cards: pairs, single pictures or error texts."""
        shape = "errors" if reason == "unreadable" else "pairs" if reason in words.PAIRED else "pictures"
        cards = [self._card(reason, row, pictures, shape) for row in self.dropped[reason]]
        return {
            "name": reason,
            "title": words.title(reason),
            "meaning": words.meaning(reason),
            "group": words.group(reason),
            "shape": shape,
            "cards": cards,
        }

    def _card(self, reason: str, row: dict[str, Any], pictures: Pictures, shape: str) -> dict[str, Any]:
        kept = row["kept_uri"]
        return {
            "picture": None if shape == "errors" else pictures.of(row["uri"]),
            "uri": row["uri"],
            "name": name_of(row["uri"]),
            "evidence": words.evidence(reason, row["value"], row["threshold"]),
            "close": row["close"],
            "error": row["error"] or "no details",
            "kept_uri": kept or "",
            "kept_name": name_of(kept) if kept else "",
            "kept_picture": pictures.of(kept) if kept and shape == "pairs" else None,
            "kept_size": self.sizes.get(kept or "", ""),
        }


def name_of(uri: str) -> str:
    """Return the last two parts of a uri: the file and the folder it lies in."""
    return "/".join(PurePosixPath(uri).parts[-2:])


def _chosen(rows: pa.Table, reason: str) -> list[dict[str, Any]]:
    graded = reason in words.PAIRED and reason != "exact_duplicate"
    most = UNREADABLE if reason == "unreadable" else PAIRS if graded and rows.num_rows > OTHERS else OTHERS
    shown = [row | {"close": False} for row in _list(samples.rows(rows, most), EVIDENCE)]
    if graded and rows.num_rows > most:
        there = {row["uri"] for row in shown}
        near = _list(samples.nearest_the_limit(rows, most + CLOSE_CALLS), EVIDENCE)
        shown += [row | {"close": True} for row in near if row["uri"] not in there][:CLOSE_CALLS]
    return shown


def _list(rows: pa.Table, columns: list[str]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = rows.select(columns).to_pylist()
    return listed
