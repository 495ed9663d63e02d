"""Waiting for another process, never without limit."""

import time
from collections.abc import Callable

import psutil
import pytest

LIMIT_SECONDS = 120.0
"""Far above what a busy machine needs: a limit, not a claim about speed."""


def until(condition: Callable[[], object], what: str, seconds: float = LIMIT_SECONDS) -> None:
    """Return when the condition holds; fail the test, saying what did not happen, when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.02)


def ended(pid: int) -> bool:
    """Tell whether a process is gone, or a zombie that nobody has asked for yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
