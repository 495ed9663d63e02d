"""What a person at a terminal sees: live rows under the lines that stay, and in a pipe plain lines alone."""

import sys
import time
from threading import RLock
from typing import TYPE_CHECKING, TextIO

from flows.commands.escape import harmless
from shared.errors.secrets import redacted
from shared.launch.progress import ProgressEvent

if TYPE_CHECKING:
    from flows.commands.live_rows import LiveRows

EVERY_SECONDS = 10.0
"""A pipe gets a line of each piece of work so often; a screen ten times a second."""


class Console:
    """Progress of stages and gangs, and the lines that stay. Several threads may use one."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        """Take where to write; a quiet console shows no progress, but every line that stays."""
        self.stream = stream or sys.stdout
        self.quiet = quiet
        self._lock = RLock()
        self._shown: dict[str, float] = {}
        self._rows: LiveRows | None = None

    def progress(self, event: ProgressEvent) -> None:
        """Show how far a piece of work is; its last event stays as a line."""
        if self.quiet:
            return
        with self._lock:
            if self.stream.isatty():
                self._live().show(event)
            if event.ended:
                self._shown.pop(event.kind, None)
                self._print(event.text)
            elif not self.stream.isatty() and 0 < event.done != event.total and self._due(event.kind):
                self._print(event.text)

    def line(self, text: str) -> None:
        """Show a line of a gang."""
        self.say(text)

    def say(self, text: str = "") -> None:
        """Print a line that stays, above the live rows."""
        with self._lock:
            self._print(text)

    def _due(self, kind: str) -> bool:
        now = time.monotonic()
        if now - self._shown.get(kind, -EVERY_SECONDS) < EVERY_SECONDS:
            return False
        self._shown[kind] = now
        return True

    def _live(self) -> "LiveRows":
        if self._rows is None:
            from flows.commands.live_rows import LiveRows

            self._rows = LiveRows(self.stream)
        return self._rows

    def _print(self, text: str) -> None:
        text = harmless(redacted(text))
        encoding = self.stream.encoding or "utf-8"  # what a terminal cannot show is escaped, not an error
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        if self._rows is None or not self._rows.open:
            self.stream.write(f"{text}\n")
            self.stream.flush()
        else:
            self._rows.print(text)
