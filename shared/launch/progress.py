"""Progress as events: how far a piece of work is and how fast. Whoever shows them decides how they look.

A rank writes an event to its standard output as a JSON text sequence (RFC 7464): the record separator, which no
sane line holds, then one JSON object. Events so keep their order among plain lines, cross the supervisor and
torchrun, and no line is taken for one by how it begins. Without a reader, a rank prints plain text instead.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

READER = "DINOFLOW_PROGRESS"
"""Set in the environment of ranks whose standard output is read by `launch`."""
RECORD = "\x1e"


SHARES = frozenset({"k-NN", "mfu", "data wait"})
"""Fields that are parts of a whole: people read them in per cent."""


def field_texts(fields: Mapping[str, float]) -> list[str]:
    """Return each field as a person reads it, with its name."""
    return [f"{name} {value:.1%}" if name in SHARES else f"{name} {value:.4g}" for name, value in fields.items()]


@dataclass(frozen=True)
class ProgressEvent:
    """How far one piece of work is."""

    kind: str
    """The stage."""
    done: int
    total: int
    """0 = not known."""
    unit: str = "images"
    rate: float | None = None
    """Units a second."""
    seconds: float = 0.0
    """Since the work began."""
    ended: bool = False
    """The last event of its kind; with 0 seconds, all was made before."""
    fields: Mapping[str, float] = field(default_factory=dict)
    """What else is worth seeing, by the name to show."""

    @property
    def eta_seconds(self) -> float | None:
        """Seconds that are left at this rate."""
        return (self.total - self.done) / self.rate if self.rate and self.total else None

    @property
    def text(self) -> str:
        """The event as one plain line."""
        rate = [rate_text(self.rate, self.unit)] if self.rate else []
        values = field_texts(self.fields)
        of = f" of {self.total:,}" if self.total > self.done else ""
        if self.ended:
            last = f"{self.seconds:.1f} s" if self.seconds else "made before"
        else:
            last = "" if self.eta_seconds is None else f"{clock(self.eta_seconds)} left"
        return " · ".join([f"{self.kind:<9} {self.done:>9,}{of} {self.unit}", *rate, *values, *filter(None, [last])])


OnProgress = Callable[[ProgressEvent], None]


def silent(_: ProgressEvent) -> None:
    """Report to nobody."""


class Reporter(Protocol):
    """Where a person follows the work."""

    def progress(self, event: ProgressEvent) -> None:
        """Show how far a piece of work is."""

    def line(self, text: str) -> None:
        """Show a line that stays."""


class Silent:
    """A reporter that shows nothing: for scripts and tests."""

    def progress(self, event: ProgressEvent) -> None:
        """Show nothing."""

    def line(self, text: str) -> None:
        """Show nothing."""


class Meter:
    """Times one piece of work from its creation on, and reports how far it is."""

    def __init__(
        self,
        kind: str,
        total: int,
        report: OnProgress,
        *,
        done: int = 0,
        unit: str = "images",
        every: float = 0.0,
    ) -> None:
        """Take what is to be done, how much of it was done before, and the seconds between two reports."""
        self.kind, self.total, self.report, self.unit, self.every = kind, total, report, unit, every
        self.before = self.done = done
        self.began = self.told = time.monotonic()
        self.report(ProgressEvent(kind, done, total, unit))

    def add(self, count: int) -> None:
        """Report that so many more units are done."""
        self.done += count
        if (now := time.monotonic()) - self.told >= self.every:
            self.told = now
            self.report(self._event(self.total))

    def end(self, total: int | None = None) -> None:
        """Report that all is done; `total` says how many units it came to where that was not known."""
        self.done = self.total if total is None else total
        self.report(replace(self._event(self.done), ended=True))

    def _event(self, total: int) -> ProgressEvent:
        seconds, fresh = time.monotonic() - self.began, self.done - self.before
        rate = fresh / seconds if fresh and seconds > 1 else None
        return ProgressEvent(self.kind, self.done, total, self.unit, rate, seconds)


def emit(event: ProgressEvent) -> None:
    """Write an event of this process to standard output: as a record where there is a reader, else as text."""
    text = RECORD + json.dumps(asdict(event)) if os.environ.get(READER) else event.text
    print(text, flush=True)


def parse(line: str) -> Iterator[str | ProgressEvent]:
    """Yield what a line of output holds: plain text, an event, or text that something left open before an event."""
    text, separator, record = line.rstrip().partition(RECORD)
    if text or not separator:
        yield text
    if separator:
        try:
            yield ProgressEvent(**json.loads(record))
        except (ValueError, TypeError):  # somebody else's record
            yield record


def rate_text(rate: float, unit: str) -> str:
    """Return a rate with as many digits as it deserves."""
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"


def clock(seconds: float) -> str:
    """Return seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
