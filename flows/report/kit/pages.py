"""Templates to HTML: every value is escaped unless a chart made it, and an unknown name is an error."""

from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def page(package: str, template: str, **facts: Any) -> str:
    """Fill a template of a package; it may extend the ones that lie here."""
    return _environment(package).get_template(template).render(**facts)


@cache
def _environment(package: str) -> Environment:
    """Return what compiles a package's templates: once in a process, some tenths of a second each time."""
    loaders = [PackageLoader(name) for name in dict.fromkeys((package, __package__ or ""))]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "share": share, "number": number, "span": span, "size": size}
    return environment


def count(value: float) -> str:
    """Write a whole number with its thousands apart."""
    return f"{int(value):,}"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: 1 copy, 2 copies."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else several}"


def share(part: float, whole: float) -> str:
    """Write a part of a whole in per cent; what is there never reads as 0 %."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %" if percent % 100 else f"{percent:.0f} %"


def number(value: Any) -> str:
    """Write a number with as many digits as a reader wants; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e3 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e3 else f"{value:.2e}"


def span(seconds: float) -> str:
    """Write a duration in the unit that suits it."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def size(data: float) -> str:
    """Write bytes in the unit that suits them."""
    for unit, whole in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if data >= whole:
            return f"{data / whole:.3g} {unit}"
    return f"{data:.0f} bytes"
