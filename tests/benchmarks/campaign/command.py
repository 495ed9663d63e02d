"""Commands of dinoflow as processes that are killed at a chosen place, and what is left of them afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

import psutil

ROOT = Path(__file__).parents[3]
HOOK = Path(__file__).parent / "hook"
LIMIT_SECONDS = 1200.0
"""Far above what a busy machine needs."""
ORPHAN_SECONDS = 30.0
"""Whatever a killed command started must have ended by then."""


@dataclass(frozen=True)
class Aim:
    """Where to kill: at the nth audit event on a path, before or after it; or after some seconds."""

    name: str
    event: str = ""
    path: str = ""
    nth: int = 1
    when: str = "after"
    seconds: float = 0.0

    @property
    def settings(self) -> dict[str, str]:
        """What the hook in the command reads."""
        if not self.event:
            return {}
        return {
            "CHAOS_EVENT": self.event,
            "CHAOS_PATH": self.path,
            "CHAOS_NTH": str(self.nth),
            "CHAOS_WHEN": self.when,
        }


NOWHERE = Aim("nowhere")


@dataclass
class Ending:
    """How a command ended."""

    code: int
    text: str
    orphans: list[int] = field(default_factory=list)

    @property
    def killed(self) -> bool:
        """Whether it was killed rather than that it left."""
        return self.code == -signal.SIGKILL

    @property
    def clear(self) -> bool:
        """Whether it left by itself with an answer: done, or a sentence that says why not."""
        return self.code in (0, 1, 2, 75) and "Traceback" not in self.text

    @property
    def last_line(self) -> str:
        """The last line that it printed."""
        return next((line for line in reversed(self.text.splitlines()) if line.strip()), "")


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return what a command needs of the environment, with the hook on its path."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CHAOS_")}
    path = os.pathsep.join((str(HOOK), str(ROOT)))
    return plain | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | dict(more)


def dinoflow(
    *words: object,
    aim: Aim = NOWHERE,
    settings: Mapping[str, str] | None = None,
    started: Callable[[int], None] = lambda pid: None,
    before: Sequence[str] = (),
) -> Ending:
    """Run a command to its end, or to its death at the aim; then wait for what it started.

    `started` is told its process id; `before` are words in front of the command.
    """
    argv = [*before, sys.executable, "-m", "flows.cli", *map(str, words)]
    env = environment(aim.settings | dict(settings or {}))
    with subprocess.Popen(
        argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, cwd="/"
    ) as process:
        started(process.pid)
        timers = [Timer(LIMIT_SECONDS, end, [process.pid])]
        if aim.seconds:
            timers.append(Timer(aim.seconds, end, [process.pid]))
        for timer in timers:
            timer.start()
        try:
            text = process.stdout.read() if process.stdout else b""
            code = process.wait()
        except KeyboardInterrupt:
            end(process.pid)
            raise
        finally:
            for timer in timers:
                timer.cancel()
    return Ending(code, text.decode(errors="replace"), left_behind(process.pid))


def end(pid: int) -> None:
    """Kill a process group."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def left_behind(root: int) -> list[int]:
    """Return what a command started and did not take along: it gets some seconds, then it is killed here."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while children := _children(root):
        if time.monotonic() > deadline:
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            return [child.pid for child in children]
        time.sleep(0.05)
    return []


def _children(root: int) -> list[psutil.Process]:
    """Return the processes that have inherited the mark of a command."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("CHAOS_ROOT") == str(root):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            continue
    return found
