"""The log of a flow run and its bars: what a person at a terminal would see, for those who look at Prefect's pages."""

from contextlib import suppress
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from shared.launch.progress import ProgressEvent, Reporter

TENTHS = 10
"""Steps in which a flow's log and artifacts follow a piece of work."""


class RunLog:
    """Shows progress on the pages of the running flow, and what else a person at the terminal sees in its log."""

    def __init__(self, console: Reporter | None = None) -> None:
        self.console = console
        self._logged: dict[str, int] = {}
        self._artifacts: dict[str, UUID] = {}

    def progress(self, event: ProgressEvent) -> None:
        """Log every tenth of a piece of work, and show it as a bar once it has begun."""
        if self.console:
            self.console.progress(event)
        tenth = TENTHS * event.done // event.total if event.total else 0
        if self._logged.get(event.kind) == tenth and not event.ended:
            return
        self._logged[event.kind] = tenth
        get_run_logger().info(event.text)
        with suppress(httpx.HTTPError):  # a server that does not answer costs the bar, never the work
            self._show(event)
        if event.ended:
            self._artifacts.pop(event.kind, None)
            self._logged.pop(event.kind)

    def _show(self, event: ProgressEvent) -> None:
        percent = 100 * event.done / event.total if event.total else 0.0
        if event.kind in self._artifacts:
            update_progress_artifact(self._artifacts[event.kind], progress=percent, description=event.text)
        elif 0 < event.done < event.total:  # what is done at once needs no bar
            key = f"progress-{event.kind.replace('_', '-')}"
            made = create_progress_artifact(percent, key=key, description=event.text)
            assert isinstance(made, UUID)
            self._artifacts[event.kind] = made

    def line(self, text: str) -> None:
        """Log a line of a gang."""
        if self.console:
            self.console.line(text)
        get_run_logger().info(text)
