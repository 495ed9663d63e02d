"""Runs a command and everything it starts, and leaves nothing behind: `python -m shared.launch.supervisor COMMAND…`.

torchrun puts every rank in a session of its own, so killing its process group leaves the ranks, and their
GPUs, occupied. This process asks the command to stop when it is told to (SIGTERM) or when its parent is gone (end
of file on stdin), waits a while so that ranks can write a checkpoint, and then kills every descendant. On Linux it
adopts orphans (a child subreaper); elsewhere it remembers its descendants while their parents live.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

import psutil

GRACE_SECONDS = 20.0
"""Time to write a checkpoint; below the 30 s after which Prefect kills a cancelled flow."""
LOOK_SECONDS = 2.0
"""How often descendants are looked for where orphans are not adopted."""
STOPPED = 143
"""Exit code of a command that ended because it was asked to: 128 + SIGTERM."""


def supervise(command: list[str]) -> int:
    """Run the command to its end; return its exit code, or STOPPED when it was asked to stop."""
    adopts = sys.platform == "linux"
    if adopts:
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: signals.append(got))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    family: set[psutil.Process] = set()
    looked, deadline = 0.0, None
    while child.poll() is None:
        now = time.monotonic()
        if deadline is None and (signals or _parent_is_gone()):
            family |= _descendants()
            signals.append(signal.SIGTERM)
            deadline = now + GRACE_SECONDS
            child.terminate()
        if deadline is not None and now > deadline:
            break
        if not adopts and now - looked > LOOK_SECONDS:
            family |= _descendants()
            looked = now
        time.sleep(0 if deadline is None else 0.05)
    _sweep(family)
    return STOPPED if signals else child.wait()


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
