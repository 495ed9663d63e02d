"""`dinoflow` as a process, or called in this one: the same words, without the seconds that importing takes."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from flows.cli import main
from tests.waiting import LIMIT_SECONDS

ROOT = Path(__file__).parents[1]
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


ALONE = """
import multiprocessing.process, sys
from flows.cli import main
def refused(process): raise AssertionError("a process was started")
multiprocessing.process.BaseProcess.start = refused
try: main()
finally: assert "prefect" not in sys.modules
"""


def process_of(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What the command says and how it ends, in a process of its own."""
    return _process_of("-m", "flows.cli", *words, cwd=cwd)


def process_alone_of(*words: object) -> subprocess.CompletedProcess[str]:
    """The same of a command that fails where it starts Prefect or a process of multiprocessing."""
    return _process_of("-c", ALONE, *words, cwd=ROOT)


def _process_of(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
    )


def dinoflow(*words: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
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
    return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


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
