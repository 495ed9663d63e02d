"""Runs a command under the supervisor, and relays what it prints: events as events, the rest as lines and to a log."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TextIO

from shared.launch.progress import READER, Reporter, parse

PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Idle threads sleep instead of spinning: beside another busy process a CPU step took 20 times as long without."""
THRIFTY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
"""glibc keeps the memory of freed tensors: a tenth of a CPU step went into getting it from the kernel again."""
SYNC_LINES = 200
"""A mirrored workspace is uploaded after so many printed lines, and at the end."""
TAIL_LINES = 20
"""The end of the log that an error shows."""


def relayed(
    command: list[str],
    environment: Mapping[str, str],
    log: Path,
    reporter: Reporter,
    sync: Callable[[], None],
    niceness: int,
    stop: Event | None,
) -> tuple[int, list[str]]:
    """Run the command to its end; return its exit code and the last lines.

    With niceness other processes go first; `stop` ends it early; `sync` is called now and then.
    """
    tail: list[str] = []
    supervised = [sys.executable, "-m", "shared.launch.supervisor", *command]
    with (
        _open_log(log) as file,
        subprocess.Popen(
            supervised,
            env=PATIENT | THRIFTY | dict(environment) | {READER: "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            start_new_session=True,  # what kills our process group, or Ctrl-C, must leave it to end what it started
        ) as process,
    ):
        assert process.stdout is not None
        if niceness:  # of the supervisor, which has started nothing yet: what it starts inherits it
            os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
        if stop:
            Thread(target=_end_when_asked, args=(process, stop), daemon=True).start()
        try:
            for number, line in enumerate(process.stdout, 1):
                tail = [*tail, *_relay(line, file, reporter)][-TAIL_LINES:]
                if number % SYNC_LINES == 0:
                    sync()
            return process.wait(), tail
        finally:
            assert process.stdin is not None
            process.stdin.close()  # tells the supervisor, should we leave early
            try:
                process.wait()
            except KeyboardInterrupt:  # asked a second time
                process.terminate()
                raise


@contextmanager
def _open_log(path: Path) -> Iterator[TextIO]:
    """Open a log that may lack its end where the disk is full: whoever works there says so."""
    file = path.open("a")
    try:
        yield file
    finally:
        with suppress(OSError):
            file.close()


def _relay(line: str, log: TextIO, reporter: Reporter) -> list[str]:
    """Pass on what a line holds: events as events, and everything as text to the log; return the texts."""
    texts = []
    for part in parse(line):
        if isinstance(part, str):
            reporter.line(part)
        else:
            reporter.progress(part)
        texts.append(part if isinstance(part, str) else part.text)
    with suppress(OSError):
        log.writelines(f"{text}\n" for text in texts)
    return texts


def _end_when_asked(process: subprocess.Popen[str], stop: Event) -> None:
    while process.poll() is None:
        if stop.wait(0.5):
            process.terminate()
            return
