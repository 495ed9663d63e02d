"""`dinoflow` called in this process: its words and exit code, without the seconds that a process takes to import."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from flows.cli import main

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


def dinoflow(*words: object, cwd: Path | None = None, **environment: str) -> CompletedProcess[str]:
    """What the command says and how it ends; the process and its environment are afterwards as they were."""
    output, errors, code = io.StringIO(), io.StringIO(), 0
    arguments = [str(word) for word in words]
    with pytest.MonkeyPatch.context() as patch, as_before(), redirect_stdout(output), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["dinoflow", *arguments])
        patch.chdir(cwd or Path.cwd())
        os.environ.update({"COLUMNS": "100"} | environment)
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


@contextmanager
def as_before() -> Iterator[None]:
    """Put back what a command changes for the rest of its process: the environment, and what signals do."""
    environment, handlers = dict(os.environ), {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in handlers.items():
            signal.signal(number, handler)
