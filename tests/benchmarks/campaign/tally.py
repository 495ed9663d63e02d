"""What a campaign tried, and what of it failed or was lost: one row for each kind of disturbance."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.benchmarks.campaign.command import Ending

NOTES = 6


@dataclass
class Row:
    """One kind of disturbance."""

    item: str
    fired: int = 0
    tried: int = 0
    """Of those fired, what counts: a kill counts where something new had been finished since the one before."""
    failed: int = 0
    """Commands that ended neither well nor with a sentence, that did not go on, or that left processes behind."""
    lost: int = 0
    """Results that are not those of an undisturbed run."""
    notes: list[str] = field(default_factory=list)

    def fail(self, what: str, ending: Ending | None = None) -> None:
        """Count a failure, and remember the first few."""
        self.failed += 1
        self.note(what + (f": exit code {ending.code}, {ending.last_line[:200]}" if ending else ""))

    def lose(self, what: str) -> None:
        """Count a loss."""
        self.lost += 1
        self.note(f"LOST {what}")

    def note(self, text: str) -> None:
        """Keep a line for the table's end."""
        if len(self.notes) < NOTES and text not in self.notes:
            self.notes.append(text)


class Tally:
    """All rows, in the order in which they were begun."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.skipped: list[str] = []

    def row(self, item: str) -> Row:
        """Return the row of this name, begun where it is new."""
        return self.rows.setdefault(item, Row(item))

    @property
    def kills(self) -> int:
        """Kills that count."""
        return sum(row.tried for row in self.rows.values() if row.item.startswith("SIGKILL"))

    @property
    def broken(self) -> int:
        """Failures and losses together."""
        return sum(row.failed + row.lost for row in self.rows.values())

    def table(self) -> Iterator[str]:
        """Yield the table's lines, with its sum, and what was skipped."""
        yield "| item | fired | tried | failed | lost |"
        yield "|---|--:|--:|--:|--:|"
        rows = list(self.rows.values())
        for row in rows:
            yield f"| {row.item} | {row.fired} | {row.tried} | {row.failed} | {row.lost} |"
        sums = [sum(getattr(row, name) for row in rows) for name in ("fired", "tried", "failed", "lost")]
        yield f"| **all** ({self.kills} kills) | " + " | ".join(map(str, sums)) + " |"
        notes = [f"- {row.item}: {note}" for row in rows for note in row.notes]
        yield from ("", *notes, *(f"- skipped: {line}" for line in self.skipped))
