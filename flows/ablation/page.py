"""The page of an ablation: what may be claimed, drawn with error bars, and what each variant changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from curation.publish.reasons import ordered
from flows.ablation import text
from flows.ablation.text import Results
from flows.report.kit import reason_text
from flows.report.kit.charts import short, ticks
from flows.report.kit.pages import page

WIDTH, NAMES, RIGHT, TOP, ROW, FOOT = 760, 250, 24, 14, 30, 34
LETTERS = 38
SHADES = {"helped": "var(--kept)", "hurt": "var(--quality)"}
PLAIN = "var(--c0)"


@dataclass(frozen=True)
class Bar:
    """A row of a chart: a mean, the ends of its error bar, and the points that it is the mean of."""

    name: str
    mean: float
    low: float
    high: float
    points: Sequence[float]
    shade: str = PLAIN


def render_ablation(facts: Results) -> str:
    """Return the page as one self-contained HTML file."""
    metric = facts["verdict_on"]
    reasons = ordered({reason for one in facts["variants"] for reason in one["dropped"]})
    return page(
        "flows.ablation",
        "ablation.html",
        facts=facts,
        headline=text.headline(facts),
        notes=text.notes(facts),
        table=text.table(facts),
        differences=bars(_differences(facts, metric), "points", levels=[("", 0.0)]) if metric else "",
        scores=bars(_scores(facts, metric), "per cent", levels=_levels(facts, metric)) if metric else "",
        reasons=[(reason, reason_text.title(reason)) for reason in reasons],
        metrics=[name for name in facts["variants"][0]["metrics"] if name != metric],
        score=_score_text,
    )


def bars(rows: Sequence[Bar], unit: str, levels: Sequence[tuple[str, float]] = ()) -> Markup:
    """Draw a row for each bar, names on the left, a dashed line at each level; empty without rows."""
    if not rows:
        return Markup("")
    ends = [v for row in rows for v in (row.low, row.high, *row.points)] + [value for _, value in levels]
    room = (max(ends) - min(ends) or 1.0) * 0.06
    low, high = min(ends) - room, max(ends) + room
    foot = TOP + ROW * len(rows)

    def across(value: float) -> float:
        return NAMES + (value - low) / (high - low) * (WIDTH - NAMES - RIGHT)

    body = [
        Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(across(tick), TOP, foot)
        + Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(across(tick), foot + 15, short(tick))
        for tick in ticks(low, high)
    ]
    body += [
        Markup('<line class="base b{0}" x1="{1:.1f}" x2="{1:.1f}" y1="{2}" y2="{3}"/>').format(i, across(v), TOP, foot)
        for i, (_, v) in enumerate(levels)
    ]
    body += [_bar(row, TOP + ROW * (i + 0.5), across) for i, row in enumerate(rows)]
    name = Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(WIDTH - RIGHT, foot + 30, unit)
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>')
    legend = Markup("").join(
        Markup('<li><span class="key dash b{}"></span>{} {}</li>').format(i, who, short(round(value, 1)))
        for i, (who, value) in enumerate(levels)
        if who
    )
    drawn = (
        head.format(WIDTH, foot + FOOT, f"error bars, in {unit}") + Markup("").join([*body, name]) + Markup("</svg>")
    )
    return drawn + (Markup('<ul class="legend">{}</ul>').format(legend) if legend else Markup(""))


def _bar(row: Bar, y: float, across: Any) -> Markup:
    name = row.name if len(row.name) <= LETTERS else f"{row.name[: LETTERS - 1]}…"
    mark = Markup('<g style="stroke: {0}; fill: {0}">').format(row.shade)
    line = Markup('<line stroke-width="2" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>')
    drawn = [Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(NAMES - 12, y + 4, name), mark]
    drawn.append(line.format(across(row.low), across(row.high), y, y))
    drawn += [line.format(across(end), across(end), y - 5, y + 5) for end in (row.low, row.high)]
    drawn.append(Markup('<circle stroke="none" cx="{:.1f}" cy="{}" r="5"/>').format(across(row.mean), y))
    dot = Markup('<circle fill="none" opacity="0.7" cx="{:.1f}" cy="{}" r="3"/>')
    drawn += [dot.format(across(point), y + 8) for point in row.points]
    return Markup("").join([*drawn, Markup("</g>")])


def _differences(facts: Results, metric: str) -> list[Bar]:
    base, rows = facts["variants"][0]["runs"], []
    for one in facts["variants"]:
        difference = one["metrics"][metric]["difference"]
        if difference is None or difference["low"] is None:
            continue
        both = [(a["scores"], b["scores"]) for a, b in zip(one["runs"], base, strict=True) if a["done"] and b["done"]]
        points = [100 * (a[metric] - b[metric]) for a, b in both]
        mean, low, high = (100 * difference[end] for end in ("mean", "low", "high"))
        rows.append(Bar(one["name"], mean, low, high, points, SHADES.get(one["metrics"][metric]["verdict"], PLAIN)))
    return rows


def _scores(facts: Results, metric: str) -> list[Bar]:
    rows = []
    for one in facts["variants"]:
        scored = one["metrics"][metric]
        if scored["mean"] is not None:
            mean, sd = 100 * scored["mean"], 100 * (scored["sd"] or 0.0)
            rows.append(Bar(one["name"], mean, mean - sd, mean + sd, [100 * score for score in scored["scores"]]))
    return rows


def _levels(facts: Results, metric: str) -> list[tuple[str, float]]:
    return [(who, 100 * values[metric]) for who, values in facts["baselines"].items() if metric in values]


def _score_text(variant: dict[str, Any], metric: str) -> str:
    """Write a score of another metric: mean ± sd, shares in per cent."""
    scored = variant["metrics"][metric]
    if scored["mean"] is None:
        return "–"
    scale = 100 if "top1" in metric else 1
    spread = "" if scored["sd"] is None else f" ± {scale * scored['sd']:.1f}"
    return f"{scale * scored['mean']:.1f}{spread}"
