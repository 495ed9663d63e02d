"""One at a time: a lock on something in a workspace, with holder, host and age; taken over when its holder is dead.

A lock is a folder of numbered files, and who made the highest holds it. A file is made only where none has its name,
so of several who take over from a dead holder one succeeds. On one machine the dead are known by process id and time
of birth; elsewhere by a file that has not changed for a while by the clock of whoever waits, so clocks need not agree.
"""

import json
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from shared.storage.store import Store

FOLDER = "locks"
BEAT_SECONDS = 10.0
"""How often a holder rewrites its file."""
SILENT_SECONDS = 60.0
"""A holder on another machine that has not written for so long is dead."""
PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    work: str
    host: str
    machine: str
    """Tells machines, their boots and their containers apart: process ids mean something only inside of one."""
    pid: int
    born: float
    since: float
    beat: int = 0

    @property
    def text(self) -> str:
        """Who it is, for a person who waits."""
        return f"{self.work}, process {self.pid} on {self.host}, for {max(0, time.time() - self.since):,.0f} s"


Silence = dict[str, tuple[bytes, float]]
"""What each file of a lock held when it was seen to change last, and when that was."""
UNKNOWN = Holder("an unknown command", "an unknown machine", "", 0, 0.0, 0.0)


@contextmanager
def locked(store: Store, name: str, work: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of this name through the block; wait while another holds it, and say once who does."""
    folder = f"{FOLDER}/{name}"
    file, holder = _acquired(store, folder, work, say)
    stop = threading.Event()
    beats = threading.Thread(target=_beat, args=(store, file, holder, stop), daemon=True)
    beats.start()
    try:
        yield
    finally:
        stop.set()
        beats.join()
        store.delete(file)


def _acquired(store: Store, folder: str, work: str, say: Callable[[str], None]) -> tuple[str, Holder]:
    silent: Silence = {}
    said = False
    while True:
        numbers = _numbers(store, folder)
        living = [one for number in numbers if (one := _living(store, _file(folder, number), silent))]
        if not living:
            file = _file(folder, max(numbers, default=0) + 1)
            holder = _myself(work)
            if store.create(file, json.dumps(asdict(holder))) and _alone(store, folder, file, silent):
                for number in numbers:
                    store.delete(_file(folder, number))
                return file, holder
        elif not said:
            say(f"Waiting for {living[-1].text}: it holds the lock {store.path(folder)}.")
            said = True
        time.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))


def _alone(store: Store, folder: str, file: str, silent: Silence) -> bool:
    """Tell whether no other living holder came at the same time; where one did, withdraw: it is tried again."""
    others = [other for number in _numbers(store, folder) if (other := _file(folder, number)) != file]
    if any(_living(store, other, silent) for other in others):
        store.delete(file)
        return False
    return True


def _living(store: Store, file: str, silent: Silence) -> Holder | None:
    """Return who made a file of a lock, or None where that one is dead or gone."""
    try:
        text = store.read(file)
    except FileNotFoundError:
        return None
    try:
        holder = Holder(**json.loads(text))
    except (ValueError, TypeError):  # damaged, or read while it was written
        holder = UNKNOWN
    if holder.machine == _machine():
        return holder if _runs(holder) else None
    seen, when = silent.get(file, (b"", 0.0))
    if seen != text:
        silent[file] = text, time.monotonic()
        return holder
    return holder if time.monotonic() - when < SILENT_SECONDS else None


def _runs(holder: Holder) -> bool:
    try:
        process = psutil.Process(holder.pid)
        return bool(process.create_time() == holder.born and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _beat(store: Store, file: str, holder: Holder, stop: threading.Event) -> None:
    while not stop.wait(BEAT_SECONDS):
        holder = replace(holder, beat=holder.beat + 1)
        with suppress(OSError):  # of a store that does not answer now: it may at the next beat
            store.write(file, json.dumps(asdict(holder)))


def _myself(work: str) -> Holder:
    born = psutil.Process().create_time()
    return Holder(work, socket.gethostname(), _machine(), os.getpid(), born, time.time())


def _machine() -> str:
    facts = [socket.gethostname()]
    if sys.platform == "linux":
        facts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(facts)


def _numbers(store: Store, folder: str) -> list[int]:
    names = (name.removesuffix(".json") for name in store.names(folder))
    return sorted(int(name) for name in names if name.isdigit())


def _file(folder: str, number: int) -> str:
    return f"{folder}/{number:06d}.json"
