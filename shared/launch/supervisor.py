"""Runs a command and everything it starts, and leaves nothing behind: `python -m shared.supervisor COMMAND…`.

torchrun puts every rank in a session of its own, so killing its process group leaves the ranks, and their
GPUs, occupied. This process adopts orphans (a child subreaper), asks the command to stop when it is told to
(SIGTERM) or when its parent is gone (end of file on stdin), waits a while so that ranks can write a
checkpoint, and then sweeps every descendant. Linux only; elsewhere it merely runs the command.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_SECONDS = 20.0
"""Time to write a checkpoint; below the 30 s after which Prefect kills a cancelled flow."""
STOPPED = 143
"""Exit code of a command that ended because it was asked to: 128 + SIGTERM."""


def supervise(command: list[str]) -> int:
    """Run the command to its end; return its exit code, or STOPPED when it was asked to stop."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: asked.append(got))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    deadline: float | None = None
    while child.poll() is None:
        if deadline is None and (asked or _parent_is_gone()):
            asked.append(signal.SIGTERM)
            deadline = time.monotonic() + GRACE_SECONDS
            child.terminate()
        if deadline is not None and time.monotonic() > deadline:
            break
        time.sleep(0 if deadline is None else 0.05)
    _sweep()
    return STOPPED if asked else child.wait()


def _parent_is_gone() -> bool:
    """Wait a moment for end of file on stdin, which comes when the parent dies however it died."""
    try:
        ready, _, _ = select.select([sys.stdin], [], [], 0.2)
        return bool(ready) and os.read(sys.stdin.fileno(), 1) == b""
    except InterruptedError:
        return False


def _sweep() -> None:
    """Kill every descendant that is left, generation by generation."""
    if not Path("/proc").is_dir():
        return
    for _ in range(50):
        left = _children(os.getpid())
        if not left:
            return
        for process in left:
            os.kill(process, signal.SIGKILL)
        while _reaped():
            pass
        time.sleep(0.02)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:]))
