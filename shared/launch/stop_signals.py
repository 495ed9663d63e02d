"""What asks to stop, and who ends with whom: SIGTERM, SIGINT, and SIGUSR1, which clusters send ahead of a limit."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
REQUEUE = 75
"""Exit code of what stopped because it was asked to, and goes on when it is run again: EX_TEMPFAIL of sysexits.h."""
TOGETHER_SECONDS = 5.0
"""Signals that come within so long are one request: a cluster signals every process, and some pass theirs on."""
SUPERVISOR = "DINOFLOW_SUPERVISOR"
"""In the environment of a gang: the process id of its supervisor."""
PR_SET_PDEATHSIG = 1


class StopSignals:
    """A handler of signals: the first asks to stop, one that comes later leaves at once."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self.leave = leave
        self.since: float | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self.since is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take in a signal."""
        now = time.monotonic()
        if self.since is None:
            self.since = now
        elif now - self.since > TOGETHER_SECONDS:
            self.leave()


def die_with_parent(parent: int | None = None) -> None:
    """On Linux, be killed when the parent dies; leave now where it, or the gang's supervisor, is dead already.

    `parent` is its process id, as it was before this process started.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    supervisor = int(os.environ.get(SUPERVISOR, "0"))
    if parent not in (None, os.getppid()) or (supervisor and not _runs(supervisor)):
        os._exit(REQUEUE)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
