"""Waiting in tests, always with an end: for a condition, and for processes that a test starts."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

LIMIT_SECONDS = 120.0
"""Far above what a busy machine needs: a limit, not a claim about speed."""


def until(condition: Callable[[], object], what: str = "", seconds: float = LIMIT_SECONDS) -> None:
    """Return when the condition holds; fail the test, saying what did not happen, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s in vain{what and ': '}{what}")
        time.sleep(0.02)


@contextmanager
def started(command: Sequence[object], **settings: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that is killed at the end of the block if it still runs; Popen alone would wait for it."""
    with subprocess.Popen([str(word) for word in command], **settings) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(pid: int | str) -> bool:
    """Tell whether a process is gone, or a zombie that nobody has asked for yet."""
    try:
        return bool(psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
