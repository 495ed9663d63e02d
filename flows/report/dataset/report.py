"""From the tables of a published version to its report."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from curation.publish.read_back import Original, StoredThumbnail
from curation.publish.reasons import ordered
from flows.report.dataset import samples
from flows.report.dataset.balance import clusters, contamination
from flows.report.dataset.conflicts import LabelConflicts
from flows.report.dataset.copy_groups import Groups, edges
from flows.report.dataset.counts import matrix
from flows.report.dataset.evidence import Evidence
from flows.report.dataset.funnel import funnel
from flows.report.dataset.gallery import Gallery
from flows.report.dataset.look_alikes import LookAlikes
from flows.report.dataset.look_first import look_first, of_sources
from flows.report.dataset.pictures import Thumbnails
from flows.report.dataset.thresholds import limits
from flows.report.kit.pages import page
from flows.report.kit.reason_text import GEOMETRIC, Checks
from shared.catalog import CONFLICTS, DROPPED, MANIFEST, SIGNALS
from shared.dataset_version import Published
from shared.stage_runner.memo import Memo

PictureSource = Callable[[list[str]], Mapping[str, Original | StoredThumbnail]]
KEPT_COLUMNS = ["image_id", "uri", "source", "label", "width", "height", "bytes", "cluster", *SIGNALS]
LABELS_SHOWN = 60
NO_EVIDENCE = Evidence()


class Shown(Protocol):
    """A part of the page that shows pictures."""

    def uris(self) -> set[str]:
        """Return the uris whose bytes are needed."""


def render(
    dataset: Published, picture_source: PictureSource, evidence: Evidence = NO_EVIDENCE, memo: Memo | None = None
) -> str:
    """Return the report as one self-contained HTML page.

    The source gives originals or what was measured, evidence what the stage cache knows, the memo what pages showed.
    """
    dropped = samples.table(dataset, DROPPED, DROPPED.schema.names)
    kept = samples.table(dataset, MANIFEST, KEPT_COLUMNS)
    info, recipe = dataset.info, dataset.info.get("recipe", {})
    counts, checks = samples.frequencies(dropped["reason"]), Checks.of(recipe)
    gallery = Gallery.choose(kept, dropped, ordered(counts), evidence.sets, checks)
    groups, lines = Groups.choose(kept, dropped, checks), limits(kept, dropped, evidence, recipe)
    pairs, look_alikes = edges(kept, dropped, evidence.pairs, checks), LookAlikes.choose(kept, evidence.pairs)
    conflicts = LabelConflicts.choose(samples.table(dataset, CONFLICTS, CONFLICTS.schema.names), checks)
    shown: list[Shown] = [gallery, groups, conflicts, look_alikes, *lines, *pairs]
    pictures = Thumbnails(picture_source(sorted(set().union(*(one.uris() for one in shown)))), memo)
    html = page(
        "flows.report.dataset",
        "dataset.html",
        name=dataset.name,
        version=dataset.version,
        created=str(info.get("created", "")),
        headline=_headline(kept, dropped) | {"hides": bool(dataset.files("hidden"))},
        warnings=look_first(info),
        steps=funnel(kept.num_rows, counts, evidence.sizes),
        matrix=matrix(kept, dropped, ordered(counts), checks),
        whole=evidence.measured is not None,
        kept=gallery.kept_cards(pictures),
        limits=[one.facts(pictures) for one in lines],
        groups=groups.facts(pictures),
        groups_in_all=groups.total,
        geometric=checks.verify == GEOMETRIC,
        edges=[one.facts(pictures) for one in pairs],
        conflicts=conflicts.facts(pictures),
        look_alikes=look_alikes.facts(pictures),
        sections=[gallery.section(reason, pictures) for reason in gallery.dropped],
        contamination=contamination(dropped, evidence, info),
        clusters=clusters(kept, evidence, info),
        labels=_labels(kept),
        some_stored=pictures.some_stored,
        **of_sources(info),
        **{key: info.get(key, {}) for key in ("lineage", "tools", "seconds")},
        recipe=json.dumps(recipe, indent=2, ensure_ascii=False, default=str),
    )
    pictures.remember()
    return html


def _headline(kept: pa.Table, dropped: pa.Table) -> dict[str, Any]:
    pixels = pc.mean(pc.multiply(kept["width"].cast(pa.float64()), kept["height"])).as_py() or 0.0
    return {
        "indexed": kept.num_rows + dropped.num_rows,
        "kept": kept.num_rows,
        "dropped": dropped.num_rows,
        "bytes": pc.sum(kept["bytes"]).as_py() or 0,
        "side": math.sqrt(pixels),
    }


def _labels(kept: pa.Table) -> dict[str, Any]:
    counts = samples.frequencies(kept["label"])
    shown = list(counts.items())[:LABELS_SHOWN]
    return {"shown": shown, "all": len(counts), "most": shown[0][1] if shown else 0}
