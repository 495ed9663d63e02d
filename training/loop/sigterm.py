"""SIGTERM, SIGINT and SIGUSR1 ask a run to stop: it is remembered, and looked at between two steps."""

import os
import signal
import threading
from types import TracebackType
from typing import Self

from shared.launch.stop_signals import ASKING, REQUEUE, StopSignals


class StopRequest:
    """While open, the first signal only sets `requested`; a second one, later, leaves without saving."""

    def __init__(self) -> None:
        self.signals = StopSignals(lambda: os._exit(REQUEUE))

    @property
    def requested(self) -> bool:
        """Whether this process was asked to stop."""
        return self.signals.requested

    def __enter__(self) -> Self:
        in_main_thread = threading.current_thread() is threading.main_thread()  # others may not set handlers
        self.former = {number: signal.signal(number, self.signals) for number in ASKING} if in_main_thread else {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.former.items():
            signal.signal(number, handler)
