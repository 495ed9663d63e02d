"""Waiting in tests, always with an end: for a condition, and for processes that a test starts."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest


def until(condition: Callable[[], Any], seconds: float = 60, every: float = 0.05) -> None:
    """Wait until something holds; fail where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s in vain")
        time.sleep(every)


@contextmanager
def started(command: Sequence[object], **settings: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that is killed at the end of the block if it still runs; Popen alone would wait for it."""
    with subprocess.Popen([str(word) for word in command], **settings) as process:
        try:
            yield process
        finally:
            process.kill()


def gone(pid: int | str) -> bool:
    """Whether a process has ended, by Linux's /proc: nothing is left of it but perhaps its exit code."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return ") Z " in file.read()
    except OSError:
        return True
