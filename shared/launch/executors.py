"""Where work runs: here, or in child processes that we own, so that a killed child costs one piece of work."""

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, Protocol, TypeVar

from shared.errors import WorkFailedError

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 2
"""How often work is tried again after its process was killed from outside."""


class Executor(Protocol):
    """Runs a function over items; the order of the results does not matter."""

    def map(self, fn: Callable[[Item], Result], items: Sequence[Item], label: str) -> Iterator[Result]:
        """Yield the results as they come."""


class Inline:
    """One after the other, in this process: for tests and debuggers."""

    def map(self, fn: Callable[[Item], Result], items: Sequence[Item], label: str) -> Iterator[Result]:
        """Yield the results in order."""
        return map(fn, items)


class WorkerDiedError(WorkFailedError):
    """A child process was killed from outside, most often for its memory."""


class Workers:
    """A few processes of one worker each: a death is noticed at once, and only its own work is lost."""

    def __init__(self, width: int, preload: Sequence[str] = ()) -> None:
        """Take the number of processes, and slow modules to import once, before they fork."""
        self.width = width
        self.preload = ["shared.stage_runner", *preload]
        self._idle: queue.Queue[ProcessPoolExecutor | None] = queue.Queue()
        for _ in range(width):
            self._idle.put(None)

    def call(self, fn: Callable[..., Result], *arguments: Any) -> Result:
        """Run the function in an idle process and wait. Raises WorkerDiedError when that process is killed."""
        pool = self._idle.get()
        try:
            pool = pool or self._one_process()
            return pool.submit(fn, *arguments).result()
        except BrokenProcessPool as error:
            pool = None
            raise WorkerDiedError(
                "A worker process was killed from outside, often for its memory. "
                "Run the same command again: finished parts are kept. Lower compute.workers if it recurs."
            ) from error
        finally:
            self._idle.put(pool)

    def _one_process(self) -> ProcessPoolExecutor:
        context = get_context("forkserver")
        context.set_forkserver_preload(self.preload)
        return ProcessPoolExecutor(1, mp_context=context, initializer=_live_with_parent)

    def close(self) -> None:
        """End every process, busy or not."""
        for _ in range(self.width):
            pool = self._idle.get()
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)


class Processes:
    """Items spread over worker processes; what a killed worker held is tried again."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers

    def map(self, fn: Callable[[Item], Result], items: Sequence[Item], label: str) -> Iterator[Result]:
        """Yield the results as they come."""
        with ThreadPoolExecutor(self.workers.width, thread_name_prefix=label) as threads:
            futures = [threads.submit(self._try, fn, item) for item in items]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()

    def _try(self, fn: Callable[[Item], Result], item: Item) -> Result:
        for _ in range(RETRIES):
            try:
                return self.workers.call(fn, item)
            except WorkerDiedError:
                continue
        return self.workers.call(fn, item)


def _live_with_parent() -> None:
    """Leave Ctrl-C to the parent, die when it does, and be quiet.

    No orphan may hold a core. libtiff and its kin write their complaints straight to file descriptor 2; what
    they complain about is in the error text of the image, and an exception travels to the parent as a value.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
