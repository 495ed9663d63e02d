"""What a person at a terminal sees: a live line on a screen, plain lines in a log."""

import sys
import time
from typing import TextIO

EVERY_SECONDS = 10.0
"""A log gets a line so often; a screen ten times a second."""

PASSING = "step "
"""How a line of progress begins: a training run prints one for each second."""


class Console:
    """Progress of stages with images a second and time left, and the lines of a gang."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self._began: dict[str, tuple[float, int]] = {}
        self._shown = 0.0
        self._open = False

    def progress(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is; its last line stays."""
        now = time.monotonic()
        if stage not in self._began:
            self._began[stage] = (now, done)
            if done == total:
                self._close(f"{stage:<9} {total:>9,} images · made before")
                return
        started, before = self._began[stage]
        seconds, fresh = now - started, done - before
        if done == total:
            self._close(f"{stage:<9} {total:>9,} images · {seconds:.1f} s{_rate(fresh, seconds)}")
            return
        left = f" · {_clock((total - done) * seconds / fresh)} left" if fresh else ""
        self._show(f"{stage:<9} {done:>9,} of {total:,}{_rate(fresh, seconds)}{left}", now)

    def line(self, text: str) -> None:
        """Show a line of a gang; only those that tell how far it is pass by."""
        if text.startswith(PASSING):
            self._show(text, time.monotonic())
        else:
            self._close(text)

    def say(self, text: str = "") -> None:
        """Print a line that stays."""
        self._close(text)

    def _show(self, text: str, now: float) -> None:
        if now - self._shown < (0.1 if self.live else EVERY_SECONDS):
            return
        self._shown = now
        if self.live:
            self.stream.write(f"\r\x1b[2K{text[:160]}")
            self._open = True
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def _close(self, text: str) -> None:
        self.stream.write(f"\r\x1b[2K{text}\n" if self._open else f"{text}\n")
        self._open = False
        self.stream.flush()


def _rate(images: int, seconds: float) -> str:
    return f" · {images / seconds:,.0f} images/s" if images and seconds > 1 else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
