"""Kills a command at a chosen place. Python imports this file by itself where its folder is on the path.

CHAOS_EVENT is the name of an audit event (os.rename, os.link, open …), CHAOS_PATH a pattern that one of its arguments
has to match, CHAOS_NTH how many of them one process sees, CHAOS_WHEN whether the last of them still happens.
"""

import os
import re
import signal
import sys
from typing import Any

ROOT = "CHAOS_ROOT"
"""The process id of the command: its children inherit it, and whoever looks for orphans finds them by it."""


def kill_everything() -> None:
    """Kill the command's process group and this process, as a lost machine would."""
    os.killpg(int(os.environ[ROOT]), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def watch(event: str, path: re.Pattern[str], nth: int, when: str) -> None:
    """Kill at the nth event of this kind on a path that matches, before it happens or just after it."""
    left, due, inside = nth, False, False

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left, due, inside
        if due and not inside:
            inside = True  # what kills is an audit event too
            kill_everything()
        if inside or name != event:
            return
        inside = True
        paths = [os.fsdecode(one) for one in arguments if isinstance(one, str | bytes | os.PathLike)]
        again = name == "os.rename" and os.path.exists(paths[1])  # a listing is written anew in every run
        if not again and any(path.search(one) for one in paths):
            left -= 1
            if left == 0 and when == "before":
                kill_everything()
            due = left == 0
        inside = False

    sys.addaudithook(hook)


os.environ.setdefault(ROOT, str(os.getpid()))
if "CHAOS_EVENT" in os.environ:
    watch(
        os.environ["CHAOS_EVENT"],
        re.compile(os.environ["CHAOS_PATH"]),
        int(os.environ["CHAOS_NTH"]),
        os.environ["CHAOS_WHEN"],
    )
