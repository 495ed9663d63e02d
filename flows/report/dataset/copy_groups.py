"""Copies on the page: the largest groups around a kept image, and the pairs where the line is drawn."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup.geometry.verdicts import NO_COPIES
from curation.publish.reasons import DUPLICATES
from flows.report.dataset import samples
from flows.report.dataset.pictures import Thumbnails, name_of
from flows.report.kit import reason_text
from flows.report.kit.reason_text import Checks

MEMBER = ["uri", "reason", "value", "threshold", "kept_uri", "orientation"]
GRADED = ("perceptual_duplicate", "near_duplicate")
GROUPS, MEMBERS, PAIRS = 12, 6, 4


@dataclass(frozen=True)
class Groups:
    """Kept images with what they replaced, largest first."""

    total: int
    """Groups in all."""
    sizes: dict[str, int]
    """Kept image → how many it replaced."""
    members: dict[str, list[dict[str, Any]]]
    kept: set[str]
    """Those of them that are kept: balance leaves some out."""
    checks: Checks

    @classmethod
    def choose(cls, kept: pa.Table, dropped: pa.Table, checks: Checks) -> "Groups":
        """Take the largest groups, and a few of each."""
        copies = dropped.filter(pc.is_in(dropped["reason"].cast(pa.string()), pa.array(DUPLICATES)))
        counted = copies.group_by("kept_uri").aggregate([([], "count_all")])
        keys = [("count_all", "descending"), ("kept_uri", "ascending")]
        largest = counted.take(pc.select_k_unstable(counted, k=min(GROUPS, counted.num_rows), sort_keys=keys))
        sizes = dict(zip(largest["kept_uri"].to_pylist(), largest["count_all"].to_pylist(), strict=True))
        shown = copies.filter(pc.is_in(copies["kept_uri"], pa.array(list(sizes), pa.string())))
        members: dict[str, list[dict[str, Any]]] = {uri: [] for uri in sizes}
        for row in shown.sort_by("uri").select(MEMBER).to_pylist():
            members[row["kept_uri"]].append(row)
        order = {reason: place for place, reason in enumerate(DUPLICATES)}
        chosen = {uri: sorted(rows, key=lambda row: -order[row["reason"]])[:MEMBERS] for uri, rows in members.items()}
        still_kept = kept["uri"].filter(pc.is_in(kept["uri"], pa.array(list(sizes), pa.string())))
        return cls(counted.num_rows, sizes, chosen, set(still_kept.to_pylist()), checks)

    def uris(self) -> set[str]:
        """Return the uris whose bytes are needed."""
        return set(self.sizes) | {row["uri"] for rows in self.members.values() for row in rows}

    def facts(self, pictures: Thumbnails) -> list[dict[str, Any]]:
        """Return what the page says of each group."""
        return [
            {
                "uri": uri,
                "name": name_of(uri),
                "picture": pictures.of(uri),
                "size": size,
                "tag": reason_text.tag("", uri in self.kept),
                "more": size - len(self.members[uri]),
                "members": [self._member(row, pictures) for row in self.members[uri]],
            }
            for uri, size in self.sizes.items()
        ]

    def _member(self, row: dict[str, Any], pictures: Thumbnails) -> dict[str, Any]:
        return {"uri": row["uri"], "name": name_of(row["uri"]), "picture": pictures.of(row["uri"])} | {
            "reason": row["reason"],
            "evidence": reason_text.evidence(row["reason"], row["value"], None, self.checks)
            + reason_text.turned(row["orientation"]),
        }


@dataclass(frozen=True)
class Edge:
    """A duplicate reason's line: dropped pairs that are just copies, kept pairs that are just not."""

    reason: str
    threshold: float | None
    dropped: list[dict[str, Any]]
    kept: list[dict[str, Any]]
    checks: Checks

    def uris(self) -> set[str]:
        """Return the uris whose bytes are needed."""
        return {row[side] for row in [*self.dropped, *self.kept] for side in ("uri", "kept_uri") if row[side]}

    def facts(self, pictures: Thumbnails) -> dict[str, Any]:
        """Return what the page says."""
        heading = {
            "title": reason_text.title(self.reason),
            "limit": reason_text.edge(self.reason, self.threshold, self.checks),
        }
        sides = {"dropped": self.dropped, "kept": self.kept}
        return heading | {side: [self._card(row, pictures) for row in rows] for side, rows in sides.items()}

    def _card(self, row: dict[str, Any], pictures: Thumbnails) -> dict[str, Any]:
        one, other = row["uri"], row["kept_uri"] or ""
        return {
            "pictures": [(uri, name_of(uri), pictures.of(uri)) for uri in (other, one)],
            "evidence": reason_text.evidence(self.reason, row["value"], None, self.checks)
            + _unlike(row.get("verdict")),
        }


def _unlike(verdict: str | None) -> str:
    """Return why a pair that matches well is none of copies."""
    return f", {verdict}" if verdict in NO_COPIES else ""


def edges(kept: pa.Table, dropped: pa.Table, pairs: pa.Table | None, checks: Checks) -> list[Edge]:
    """Return the pairs nearest to the limit, for each reason that has one."""
    lines = []
    for reason in GRADED:
        rows = samples.of_reason(dropped, reason)
        rows = rows.filter(pc.is_valid(rows["value"]))
        limit = rows["threshold"].drop_null()
        threshold = float(limit[0].as_py()) if len(limit) else None
        copies = samples.nearest_the_limit(rows, PAIRS).select(["uri", "kept_uri", "value"]).to_pylist()
        escaped = []
        if reason == "near_duplicate" and checks.verify == reason_text.GEOMETRIC and pairs is not None:
            escaped = _escaped(kept, pairs, 1.0 if threshold is None else threshold)
        if copies or escaped:
            lines.append(Edge(reason, threshold, copies, escaped, checks))
    return lines


def _escaped(kept: pa.Table, pairs: pa.Table, limit: float) -> list[dict[str, Any]]:
    """Return the pairs with the highest scores, look-alikes first, of which both images are kept."""
    unlike = pc.invert(pc.equal(pairs["verdict"].cast(pa.string()), "copy"))
    below = pairs.filter(pc.and_(pc.or_(pc.less(pairs["score"], limit), unlike), pc.greater(pairs["score"], 0)))
    for side in ("uri", "other_uri"):
        below = below.filter(pc.is_in(below[side], kept["uri"].combine_chunks()))
    keys = [("score", "descending"), ("uri", "ascending"), ("other_uri", "ascending")]
    best = below.take(pc.select_k_unstable(below, k=min(PAIRS, below.num_rows), sort_keys=keys))
    renamed = pa.table(
        {"uri": best["uri"], "kept_uri": best["other_uri"], "value": best["score"], "verdict": best["verdict"]}
    )
    listed: list[dict[str, Any]] = renamed.to_pylist()
    return listed
