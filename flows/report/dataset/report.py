"""From the tables of a published version to its report."""

import json
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.publish.read_back import Original
from curation.publish.reasons import ordered
from flows.report.dataset import samples
from flows.report.dataset.balance import clusters, contamination
from flows.report.dataset.copy_groups import Groups, edges
from flows.report.dataset.counts import matrix
from flows.report.dataset.evidence import Evidence
from flows.report.dataset.funnel import funnel
from flows.report.dataset.gallery import Gallery
from flows.report.dataset.pictures import Thumbnails
from flows.report.dataset.thresholds import limits
from flows.report.kit.pages import page
from flows.report.kit.reason_text import GEOMETRIC, Checks
from shared.catalog import DROPPED, MANIFEST, SIGNALS
from shared.dataset_version import Published

PictureSource = Callable[[list[str]], dict[str, Original]]
KEPT_COLUMNS = ["uri", "source", "label", "width", "height", "bytes", "cluster", *SIGNALS]
LABELS_SHOWN = 60
NO_EVIDENCE = Evidence()


def render(dataset: Published, picture_source: PictureSource, evidence: Evidence = NO_EVIDENCE) -> str:
    """Return the report as one self-contained HTML page.

    The source gives originals by uri, as far as it can; the evidence is what the stage cache still knows.
    """
    dropped = samples.table(dataset, DROPPED, DROPPED.schema.names)
    kept = samples.table(dataset, MANIFEST, KEPT_COLUMNS)
    info, counts = dataset.info, samples.frequencies(dropped["reason"])
    recipe, reasons = info.get("recipe", {}), ordered(counts)
    checks = Checks.of(recipe)
    gallery = Gallery.choose(kept, dropped, reasons, evidence.sets, checks)
    groups, lines = Groups.choose(kept, dropped, checks), limits(kept, dropped, evidence, recipe)
    pairs = edges(kept, dropped, evidence.pairs, checks)
    needed = gallery.uris().union(groups.uris(), *(one.uris() for one in lines), *(one.uris() for one in pairs))
    pictures = Thumbnails(picture_source(sorted(needed)))
    return page(
        "flows.report.dataset",
        "dataset.html",
        name=dataset.name,
        version=dataset.version,
        created=str(info.get("created", "")),
        headline=_headline(kept, dropped),
        steps=funnel(kept.num_rows, counts, evidence.sizes),
        matrix=matrix(kept, dropped, reasons, checks),
        whole=evidence.measured is not None,
        kept=gallery.kept_cards(pictures),
        limits=[one.facts(pictures) for one in lines],
        groups=groups.facts(pictures),
        groups_in_all=groups.total,
        geometric=checks.verify == GEOMETRIC,
        edges=[one.facts(pictures) for one in pairs],
        sections=[gallery.section(reason, pictures) for reason in gallery.dropped],
        contamination=contamination(dropped, evidence, info),
        clusters=clusters(kept, evidence),
        labels=_labels(kept),
        lineage=info.get("lineage", {}),
        tools=info.get("tools", {}),
        seconds=info.get("seconds", {}),
        recipe=json.dumps(recipe, indent=2, ensure_ascii=False, default=str),
    )


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
