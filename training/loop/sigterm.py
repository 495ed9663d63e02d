"""SIGTERM asks a run to stop: it is remembered, and looked at between two steps."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

STOPPED = 143
"""Exit code of a run that stopped because it was asked to: 128 + SIGTERM."""


class StopRequest:
    """While open, SIGTERM only sets `requested`; loader workers, started inside, keep working until the end."""

    def __init__(self) -> None:
        self.requested = False

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def __enter__(self) -> Self:
        self.in_main_thread = threading.current_thread() is threading.main_thread()  # others may not set handlers
        if self.in_main_thread:
            self.former_handler = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.in_main_thread:
            signal.signal(signal.SIGTERM, self.former_handler)
