"""Where work runs: here, or in child processes that we own, so that a killed child costs one piece of work."""

import atexit
import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
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
    """A few processes of our own: a death is noticed at once, and only its own work is lost.

    Not ProcessPoolExecutor, whose parent holds both ends of its pipe and so waits for ever for the rest of a result
    when a worker dies in the middle of one; nor pebble's pool, which is lost when all its workers die at once.
    """

    def __init__(self, width: int, preload: Sequence[str] = ()) -> None:
        """Take the number of processes, and slow modules to import once, before they fork."""
        self.width = width
        self.preload = ["shared.stage_runner", *preload]
        self._idle: queue.Queue[Worker | None] = queue.Queue()
        self._running: set[Worker] = set()
        self._closed = False
        for _ in range(width):
            self._idle.put(None)
        atexit.register(self.close)

    def call(self, fn: Callable[..., Result], *arguments: Any) -> Result:
        """Run the function in an idle process and wait. Raises WorkerDiedError when that process is killed."""
        worker = self._idle.get()
        try:
            if self._closed:
                raise _died(fn)
            if worker is None:
                worker = Worker(self.preload)
                self._running.add(worker)
            result: Result = worker.call(fn, arguments)
            return result
        finally:
            if worker and worker.owes:  # dead, or whoever waited was interrupted
                worker.end()
                self._running.discard(worker)
                worker = None
            self._idle.put(worker)

    def close(self) -> None:
        """End every process, busy or not."""
        self._closed = True
        for worker in tuple(self._running):
            worker.end()
        self._running.clear()
        atexit.unregister(self.close)


class Worker:
    """One process that does one piece of work at a time. It alone holds the far end of its pipe."""

    def __init__(self, preload: Sequence[str]) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(list(preload))
        self.pipe, far_end = context.Pipe()
        self.process = context.Process(target=_serve, args=(far_end,))
        self.process.start()
        far_end.close()
        self.owes = False

    def call(self, fn: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Return the function's result. Raises what it raised; WorkerDiedError when the process dies."""
        self.owes = True
        try:
            self.pipe.send((fn, arguments))
            result, error, traceback_text = self.pipe.recv()
        except (EOFError, OSError) as broken:
            raise _died(fn) from broken
        self.owes = False
        if error is not None:
            error.add_note(f"In a worker process:\n{traceback_text}")
            raise error
        return result

    def end(self) -> None:
        """Kill the process, if it is alive still."""
        self.process.kill()
        self.process.join()


def _died(fn: Callable[..., Any]) -> WorkerDiedError:
    return WorkerDiedError(
        f"A worker process was killed from outside, often for its memory, in {getattr(fn, '__name__', fn)}. "
        "Run the same command again: finished parts are kept. Lower compute.workers if it recurs."
    )


def _serve(pipe: Connection) -> None:
    """Do what comes through the pipe until it closes: the life of a worker process."""
    _live_with_parent()
    while True:
        try:
            fn, arguments = pipe.recv()
        except EOFError:
            return
        answer: tuple[Any, BaseException | None, str]
        try:
            answer = (fn(*arguments), None, "")
        except BaseException as error:  # noqa: BLE001  it is raised again where the work was asked for
            answer = (None, _portable(error), traceback.format_exc())
        try:
            pipe.send(answer)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            pipe.send((None, TypeError(f"{fn} must return what can be pickled, got {error}"), ""))


def _portable(error: BaseException) -> BaseException:
    """Return the error, or its words where it would not survive the way to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  an error's own code decides what goes wrong here
        return WorkFailedError(f"{type(error).__name__}: {error}")
    return error


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
