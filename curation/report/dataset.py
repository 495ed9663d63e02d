"""From the tables of a published version to its report."""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.report import samples, words
from curation.report.charts import histogram
from curation.report.gallery import Gallery, Pictures
from curation.report.pages import page
from shared.contracts import DROPPED, MANIFEST, REASONS, SIGNALS
from shared.published import Published

ThumbnailSource = Callable[[list[str]], dict[str, bytes]]
SIGNAL_ROWS = 200_000
"""A histogram of so many images looks like that of a billion."""
LABELS_SHOWN = 60


def render(dataset: Published, thumbnail_source: ThumbnailSource) -> str:
    """Return the report as one self-contained HTML page; the source gives original bytes by uri, as far as it can."""
    dropped = samples.table(dataset, DROPPED, DROPPED.schema.names)
    kept = samples.table(dataset, MANIFEST, ["uri", "label", "width", "height", "bytes", *SIGNALS])
    gallery = Gallery.choose(kept, dropped, ordered(samples.frequencies(dropped["reason"])))
    pictures = Pictures(thumbnail_source(gallery.uris()))
    info = dataset.info
    return page(
        "curation.report",
        "dataset.html",
        name=dataset.name,
        version=dataset.version,
        created=str(info.get("created", "")),
        headline=_headline(kept, dropped),
        reasons=_reasons(dropped),
        sources=info.get("counts", {}).get("sources", {}),
        kept=gallery.kept_cards(pictures),
        sections=[gallery.section(reason, pictures) for reason in gallery.dropped],
        signals=_signals(kept, dropped, info.get("recipe", {})),
        labels=_labels(kept),
        lineage=info.get("lineage", {}),
        tools=info.get("tools", {}),
        seconds=info.get("seconds", {}),
        recipe=json.dumps(info.get("recipe", {}), indent=2, ensure_ascii=False, default=str),
    )


def ordered(reasons: Iterable[str]) -> list[str]:
    """Return reasons in the contract's order, those of other rules before the duplicates."""
    place = {reason: i for i, reason in enumerate(REASONS)}
    return sorted(reasons, key=lambda reason: (place.get(reason, place["blurry"] + 0.5), reason))


def _headline(kept: pa.Table, dropped: pa.Table) -> dict[str, Any]:
    total = kept.num_rows + dropped.num_rows
    bytes_kept = pc.sum(kept["bytes"]).as_py() or 0
    pixels = pc.mean(pc.multiply(kept["width"].cast(pa.float64()), kept["height"])).as_py() or 0.0
    return {
        "indexed": total,
        "kept": kept.num_rows,
        "dropped": dropped.num_rows,
        "gigabytes": bytes_kept / 1e9,
        "megabytes": bytes_kept / 1e6,
        "side": math.sqrt(pixels),
    }


def _reasons(dropped: pa.Table) -> list[dict[str, Any]]:
    counts = samples.frequencies(dropped["reason"])
    return [
        {
            "name": reason,
            "title": words.title(reason),
            "count": counts[reason],
            "meaning": words.meaning(reason),
            "group": words.group(reason),
        }
        for reason in ordered(counts)
    ]


def _signals(kept: pa.Table, dropped: pa.Table, recipe: dict[str, Any]) -> list[dict[str, Any]]:
    sampled = samples.rows(kept.select(list(SIGNALS)), SIGNAL_ROWS)
    shown = []
    for signal in SIGNALS:
        values = sampled[signal].drop_null().to_numpy()
        if not len(values):
            continue
        title, unit, fixed = words.SIGNALS_IN_WORDS[signal]
        span = fixed or (0.0, max(1.0, float(np.percentile(values, 99.5))))
        limit = _threshold(words.SIGNAL_OF.get(signal), recipe, dropped)
        chart = histogram(values, (float(span[0]), float(span[1])), name=signal, threshold=limit)
        shown.append({"name": signal, "title": title, "unit": unit, "chart": chart, "median": float(np.median(values))})
    return shown


def _threshold(reason: str | None, recipe: Any, dropped: pa.Table) -> float | None:
    """Return what the recipe says, else what the dropped rows of that reason say."""
    if reason is None:
        return None
    for rule in _dicts(recipe):
        if rule.get("kind") == reason and isinstance(rule.get("threshold"), int | float):
            return float(rule["threshold"])
    told = samples.of_reason(dropped, reason)["threshold"].drop_null()
    return float(told[0].as_py()) if len(told) else None


def _dicts(tree: Any) -> Iterable[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for branch in tree:
            yield from _dicts(branch)


def _labels(kept: pa.Table) -> dict[str, Any]:
    counts = samples.frequencies(kept["label"])
    shown = list(counts.items())[:LABELS_SHOWN]
    return {"shown": shown, "all": len(counts), "most": shown[0][1] if shown else 0}
