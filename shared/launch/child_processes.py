"""Processes of our own that do one piece of work at a time; a killed one costs only what it held."""

import atexit
import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from shared.errors import StoppedError, WorkFailedError
from shared.launch.gpus import CORES

Result = TypeVar("Result")


class WorkerDiedError(WorkFailedError):
    """A child process was killed from outside, most often for its memory."""


class Workers:
    """A few processes of our own: a death is noticed at once, and only its own work is lost.

    Not ProcessPoolExecutor, whose parent holds both ends of its pipe and so waits for ever for the rest of a result
    when a worker dies in the middle of one; nor pebble's pool, which is lost when all its workers die at once.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]], preload: Sequence[str] = ()) -> None:
        """Take what each process finds in its environment, and slow modules to import once, before they fork."""
        self.width = len(environments)
        self.preload = ["shared.stage_runner", *preload]
        self._idle: queue.Queue[Seat] = queue.Queue()
        self._running: set[Worker] = set()
        self._closed = False
        for environment in environments:
            self._idle.put(Seat(environment))
        atexit.register(self.close)

    def call(self, fn: Callable[..., Result], *arguments: Any) -> Result:
        """Run the function in an idle process and wait.

        Raises WorkerDiedError when that process is killed, StoppedError once all are closed.
        """
        seat = self._idle.get()
        try:
            if self._closed:
                raise stopped(fn)
            if seat.worker is None:
                seat.worker = Worker(self.preload, seat.environment)
                self._running.add(seat.worker)
            result: Result = seat.worker.call(fn, arguments)
            return result
        except WorkerDiedError as death:
            raise (stopped(fn) if self._closed else death) from death
        finally:
            if seat.worker and seat.worker.owes:  # dead, or whoever waited was interrupted
                seat.worker.end()
                self._running.discard(seat.worker)
                seat.worker = None
            self._idle.put(seat)

    def close(self) -> None:
        """End every process, busy or not."""
        self._closed = True
        for worker in tuple(self._running):
            worker.end()
        self._running.clear()
        atexit.unregister(self.close)


class Worker:
    """One process that does one piece of work at a time. It alone holds the far end of its pipe."""

    def __init__(self, preload: Sequence[str], environment: Mapping[str, str]) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(list(preload))
        self.pipe, far_end = context.Pipe()
        self.process = context.Process(target=_serve, args=(far_end, dict(environment)))
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
            raise died(fn) from broken
        self.owes = False
        if error is not None:
            error.add_note(f"In a worker process:\n{traceback_text}")
            raise error
        return result

    def end(self) -> None:
        """Kill the process, if it is alive still."""
        self.process.kill()
        self.process.join()


@dataclass
class Seat:
    """A place for one process: whoever follows a dead one finds the same environment, such as the same GPU."""

    environment: Mapping[str, str]
    worker: Worker | None = None


def died(fn: Callable[..., Any]) -> WorkerDiedError:
    """Return the error that says in which work a process died."""
    return WorkerDiedError(
        f"A worker process was killed from outside, often for its memory, in {getattr(fn, '__name__', fn)}. "
        "Run the same command again: finished parts are kept. Lower compute.workers if it recurs."
    )


def stopped(fn: Callable[..., Any]) -> StoppedError:
    """Return the error that says in which work the processes were closed."""
    return StoppedError(
        f"{getattr(fn, '__name__', fn)} was stopped on request. Run the same command again: finished parts are kept."
    )


def _serve(pipe: Connection, environment: dict[str, str]) -> None:
    """Do what comes through the pipe until it closes: the life of a worker process."""
    os.environ |= environment  # before CUDA is used, which reads it once
    _live_with_parent()
    _keep_to_its_cores(int(environment.get(CORES, 1)))
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


def _keep_to_its_cores(cores: int) -> None:
    """Let linear algebra use no more threads: those of several processes would wait for each other's cores.

    By the environment for what is loaded later, by its own switch for what the fork brought along.
    """
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(cores))
    threadpool_limits(cores)


def _portable(error: BaseException) -> BaseException:
    """Return the error, or its words where it would not survive the way to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  an error's own code decides what goes wrong here
        return WorkFailedError(f"{type(error).__name__}: {error}")
    return error


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
