"""Small SVG charts: numbers in, inline markup out.

Our own, since a page is one file without scripts whose colours follow the reader's dark or light mode: matplotlib's SVG
carries its own colours, and plotly or vega megabytes of JavaScript.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape

WIDTH, HEIGHT = 400, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 18, 12, 36
MAX_POINTS = 400
BINS = 40
THINNEST = 1.5
COLOURS = 6
ALONE = (
    "text{font:11px sans-serif;fill:#808891}.grid{stroke:#80889140}"
    ".line{fill:none;stroke:#4a76d4;stroke-width:2;stroke-linejoin:round}.dot{fill:#4a76d4}"
)
"""The style of a chart of one line on a page that has none of ours: readable on white and on black."""


@dataclass(frozen=True)
class Series:
    """One line: its name and its points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False


@dataclass(frozen=True)
class Axes:
    """A rectangle of numbers, and where each falls on the paper."""

    x: tuple[float, float]
    y: tuple[float, float]
    marks: list[Markup] = field(default_factory=list)

    def across(self, value: float) -> float:
        """Return the horizontal place of a value."""
        return LEFT + (value - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT)

    def up(self, value: float) -> float:
        """Return the vertical place of a value."""
        return HEIGHT - BOTTOM - (value - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM)

    def a_unit(self) -> float:
        """Return how tall one is."""
        return (HEIGHT - TOP - BOTTOM) / (self.y[1] - self.y[0])

    def drawn(self, body: Sequence[Markup], x_name: str, title: str) -> Markup:
        """Put grid, ticks and names around the body."""
        parts = []
        for tick in ticks(*self.y):
            at = self.up(tick)
            parts.append(Markup(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'))
            parts.append(Markup(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{short(tick)}</text>'))
        for tick in ticks(*self.x):
            at = self.across(tick)
            parts.append(Markup(f'<text x="{at:.1f}" y="{HEIGHT - 18}" text-anchor="middle">{short(tick)}</text>'))
        name = Markup(f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{{}}</text>')
        head = Markup(f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{{}}</title>')
        return head.format(title) + Markup("").join([*parts, *body, name.format(x_name)]) + Markup("</svg>")


def histogram(
    stacks: Sequence[tuple[str, np.ndarray]],
    span: tuple[float, float],
    *,
    name: str,
    threshold: float | None = None,
    weight: float = 1.0,
) -> Markup:
    """Draw how often each value occurs, classes stacked in their colours, and a dashed line at the threshold.

    `weight` is how many images stand behind each value. A bar that is there is never too thin to be seen.
    """
    edges = np.linspace(*span, BINS + 1)
    counts = [np.histogram(np.clip(values, *span), bins=edges)[0] * weight for _, values in stacks]
    axes = Axes(span, (0, max(1.0, float(np.sum(counts, axis=0).max()) * 1.08)))
    level = np.full(BINS, axes.up(0))
    body = []
    for (group, _), heights in zip(stacks, counts, strict=True):
        tall = np.where(heights > 0, np.maximum(heights * axes.a_unit(), THINNEST), 0.0)
        body += [
            _bar(group, axes.across(edges[i]), axes.across(edges[i + 1]), level[i], tall[i]) for i in tall.nonzero()[0]
        ]
        level -= tall
    if threshold is not None:
        body.append(_limit(axes, threshold))
    return axes.drawn(body, name, f"Histogram of {name}")


def _bar(group: str, left: float, right: float, foot: float, tall: float) -> Markup:
    place = f'x="{left + 0.5:.1f}" y="{foot - tall:.1f}" width="{right - left - 1:.1f}" height="{tall:.1f}"'
    return Markup(f'<rect class="bar {escape(group)}" {place}/>')


def _limit(axes: Axes, threshold: float) -> Markup:
    """Draw the line, or say on which side of the paper it lies."""
    low, high = axes.x
    at = axes.across(min(max(threshold, low), high))
    text = f"limit {short(threshold)}" + (" →" if threshold > high else "")
    side = ("end", -5) if at > WIDTH / 2 else ("start", 5)
    words = Markup('<text class="limit" x="{:.1f}" y="{}" text-anchor="{}">{}</text>')
    drawn = words.format(at + side[1], TOP + 10, side[0], text if threshold >= low else f"← {text}")
    if low <= threshold <= high:
        drawn += Markup('<line class="limit" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
            at, TOP, HEIGHT - BOTTOM
        )
    return drawn


def lines(
    series: Sequence[Series],
    *,
    x_name: str,
    title: str,
    baselines: Sequence[tuple[str, float]] = (),
    zero: bool = False,
) -> Markup:
    """Draw lines over a common axis, dashed levels for the baselines, and a legend; empty where no number is finite."""
    finite = [kept for kept in map(_finite, series) if len(kept.x)]
    if not finite:
        return Markup("")
    xs = np.concatenate([np.asarray(one.x) for one in finite])
    ys = np.concatenate([*[np.asarray(one.y) for one in finite], [value for _, value in baselines]])
    axes = Axes(_room(xs, 0.0), _room(np.append(ys, 0) if zero else ys, 0.06))
    body, legend = [], []
    for place, (name, value) in enumerate(baselines):
        at, shade = axes.up(value), f"b{place % 3}"
        body.append(
            Markup(f'<line class="base {shade}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        )
        legend.append((f"dash {shade}", f"{name} {short(value)}"))
    for place, one in enumerate(finite):
        points = " ".join(f"{axes.across(x):.1f},{axes.up(y):.1f}" for x, y in zip(one.x, one.y, strict=True))
        body.append(Markup(f'<polyline class="line c{place % COLOURS}" points="{points}"/>'))
        if one.dots or len(one.x) == 1:
            for x, y in zip(one.x, one.y, strict=True):
                centre = f'cx="{axes.across(x):.1f}" cy="{axes.up(y):.1f}"'
                body.append(Markup(f'<circle class="dot c{place % COLOURS}" {centre} r="3.5"/>'))
        legend.insert(place, (f"c{place % COLOURS}", one.name))
    keys = (Markup('<span class="key {}"></span>{}').format(style, name) for style, name in legend)
    items = Markup("").join(Markup("<li>{}</li>").format(key) for key in keys)
    return axes.drawn(body, x_name, title) + Markup('<ul class="legend">{}</ul>').format(items)


def as_picture(chart: Markup) -> str:
    """Return a chart of one line as a data URI, for pages that take pictures and no markup."""
    body = str(chart).partition("</svg>")[0].partition(">")[2]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
    svg = f"{head}<style>{ALONE}</style>{body}</svg>"
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def ticks(low: float, high: float) -> list[float]:
    """Return about five round numbers between two limits."""
    rough = (high - low) / 5
    size = 10 ** np.floor(np.log10(rough))
    step = size * min((1, 2, 2.5, 5, 10), key=lambda one: abs(one * size - rough))
    return [float(value) + 0.0 for value in np.arange(np.ceil(low / step - 1e-9), high / step + 1e-6) * step]


def short(value: float) -> str:
    """Write a tick: 0, 0.25, 1,500, 20k, 1.5M, 3e-05."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (size if letter != 'k' else 1e3):.4g}{letter}"
    return str(escape(f"{value:,.0f}" if value == round(value) else f"{value:.3g}"))


def _room(values: np.ndarray, margin: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-12:
        half = abs(low) * 0.1 or 0.5
        return low - half, high + half
    extra = (high - low) * margin
    return low - extra, high + extra


def _finite(series: Series) -> Series:
    """Drop what is not a number; average neighbours where there are more points than the paper can show."""
    x, y = np.asarray(series.x, dtype=float), np.asarray(series.y, dtype=float)
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    if len(x) > MAX_POINTS:
        cuts = np.linspace(0, len(x), MAX_POINTS + 1).astype(int)
        sizes = np.diff(cuts)
        x, y = (np.add.reduceat(values, cuts[:-1]) / sizes for values in (x, y))
    return Series(series.name, x.tolist(), y.tolist(), series.dots)
