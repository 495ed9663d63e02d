"""The live part of a terminal, drawn by rich: a row with bar, rate and time left for each piece of work."""

import atexit
from typing import TextIO

from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from shared.launch.progress import ProgressEvent, clock, field_texts, rate_text

ROWS_A_SECOND = 10


class LiveRows:
    """Rows of what is under way; they vanish with the last of it."""

    def __init__(self, stream: TextIO) -> None:
        self.terminal = Terminal(file=stream, highlight=False)
        self.rows: dict[str, TaskID] = {}
        self.drawn: Progress | None = None
        atexit.register(self._close)  # a command that is stopped gives the cursor back

    @property
    def open(self) -> bool:
        """Whether rows stand on the screen."""
        return self.drawn is not None

    def show(self, event: ProgressEvent) -> None:
        """Draw the row of an event, or take it away with the last one."""
        if event.ended:
            task = self.rows.pop(event.kind, None)
            if self.drawn and task is not None:
                self.drawn.remove_task(task)
            if not self.rows:
                self._close()
            return
        if self.drawn is None:
            self.drawn = self._opened()
        if event.kind not in self.rows:
            self.rows[event.kind] = self.drawn.add_task(event.kind, about="")
        self.drawn.update(self.rows[event.kind], completed=event.done, total=event.total or None, about=about(event))

    def print(self, text: str) -> None:
        """Print a line above the rows, as it is."""
        self.terminal.print(text, markup=False, soft_wrap=True, emoji=False)

    def _opened(self) -> Progress:
        columns = (TextColumn("{task.description:<9}", markup=False), BarColumn(24), MofNCompleteColumn())
        progress = Progress(
            *columns,
            TextColumn("{task.fields[about]}", markup=False),
            console=self.terminal,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            refresh_per_second=ROWS_A_SECOND,
        )
        progress.start()
        return progress

    def _close(self) -> None:
        if self.drawn:
            self.drawn.stop()
        self.drawn = None
        self.rows.clear()


def about(event: ProgressEvent) -> str:
    """Return what stands behind the bar: unit or rate, what the work tells of itself, and the time left."""
    rate = rate_text(event.rate, event.unit) if event.rate else event.unit
    values = field_texts(event.fields)
    left = [] if event.eta_seconds is None else [f"{clock(event.eta_seconds)} left"]
    return " · ".join([rate, *values, *left])
