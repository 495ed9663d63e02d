"""Runs a command and everything it starts, and leaves nothing behind: `python -m shared.launch.supervisor COMMAND…`.

torchrun puts every rank in a session of its own, so killing its process group leaves the ranks, and their
GPUs, occupied. This process asks the command to stop when it is told to (SIGTERM, SIGINT, SIGUSR1) or when its parent
is gone (end of file on stdin), waits a while so that ranks can write a checkpoint, and then kills every descendant; at
once where it is told a second time. On Linux it adopts orphans (a child subreaper), and dies with none left behind
(the parent-death signal); elsewhere it remembers its descendants while their parents live.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from shared.launch.stop_signals import ASKING, REQUEUE, SUPERVISOR, StopSignals, die_with_parent

GRACE_SECONDS = 60.0
"""Time to write a checkpoint. Prefect kills a cancelled flow after 30 s, but not this process, which has a session of
its own."""
LOOK_SECONDS = 2.0
"""How often descendants are looked for where orphans are not adopted."""


def supervise(command: list[str]) -> int:
    """Run the command to its end; return its exit code, 128 and more where a signal killed it, REQUEUE when asked."""
    adopts = sys.platform == "linux"
    if adopts:
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    at_once: list[bool] = []
    asked = StopSignals(lambda: at_once.append(True))
    for number in ASKING:
        signal.signal(number, asked)
    environment = os.environ | {SUPERVISOR: str(os.getpid())}
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, preexec_fn=_in_child(os.getpid()))
    family: set[psutil.Process] = set()
    looked, deadline = 0.0, None
    while child.poll() is None:
        now = time.monotonic()
        if deadline is None and (asked.requested or _parent_is_gone()):
            if not asked.requested:
                asked(signal.SIGTERM, None)  # an end of file is a request like any other
            family |= _descendants()
            deadline = now + GRACE_SECONDS
            child.terminate()
        if at_once or (deadline is not None and now > deadline):
            break
        if not adopts and now - looked > LOOK_SECONDS:
            family |= _descendants()
            looked = now
        time.sleep(0 if deadline is None else 0.05)
    _sweep(family)
    code = child.wait()
    return REQUEUE if asked.requested else code if code >= 0 else 128 - code


def _in_child(supervisor: int) -> Callable[[], None]:
    """Return what a child does before it becomes the command.

    torchrun would die of a SIGUSR1 that a cluster sends to every process, and its ranks with it, before they have
    saved: it ignores that one, and gets SIGTERM from here. Ranks set handlers of their own.
    """

    def begin() -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        die_with_parent(supervisor)

    return begin


def _parent_is_gone() -> bool:
    """Wait a moment for end of file on stdin, which comes when the parent dies however it died."""
    try:
        ready, _, _ = select.select([sys.stdin], [], [], 0.2)
        return bool(ready) and os.read(sys.stdin.fileno(), 1) == b""
    except InterruptedError:
        return False


def _descendants() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _sweep(family: set[psutil.Process]) -> None:
    """Kill every descendant that is left, and what they start meanwhile.

    psutil knows a process by its id and the time of its birth: it spares one that took an id over.
    """
    for _ in range(50):
        left = [process for process in family | _descendants() if _alive(process)]
        if not left:
            return
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=0.1)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:]))
