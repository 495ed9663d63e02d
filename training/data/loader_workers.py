"""Worker processes of a loader: signals that ask to stop are for the rank, which needs its workers until it has saved.

torchrun signals the process group of a rank, and SLURM every process of a job: a worker that died of it would take its
rank along. Only the rank itself ends its workers.
"""

import os
import signal
from collections.abc import Iterator
from multiprocessing.util import Finalize
from threading import Thread
from typing import Any, Literal

import cv2
import fsspec.asyn
from torch.utils.data import DataLoader

from shared.launch.stop_signals import ASKING

LAST = -100
"""Priority at a process's end, after the queue of results has been written to the end."""


def turns(loader: DataLoader[Any]) -> Iterator[Any]:
    """Start the loader's workers and yield what they make. No signal reaches one before it is ready for it."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)  # workers inherit it
    try:
        made = iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    yield from made


def start_method() -> Literal["fork", "spawn"]:
    """Return how workers are started: a forked one would wait for ever for the thread of an object store's client."""
    return "spawn" if fsspec.asyn.iothread[0] is not None else "fork"


def begin_worker(_: int) -> None:
    """Set up a worker: one thread, as torch does for itself, and no end but by its rank.

    What its parent registered for its own end is not for a child: Prefect's services fail where their threads are not.
    """
    cv2.setNumThreads(1)
    Finalize(None, os._exit, args=(0,), exitpriority=LAST)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
        Thread(target=_end_for_parent, daemon=True).start()
    else:  # macOS: there no signal says who sent it, but one to the rank's process group passes this one by
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)


def _end_for_parent() -> None:
    """Leave when the rank ends its workers, which it does by SIGTERM too."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
