"""Measures images on several cores for the one process that has the GPU: it alone holds the network."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from multiprocessing import current_process
from typing import Any, TypeVar

from shared.launch.child_processes import Workers
from shared.launch.gpus import CORES, VISIBLE, cores_of_this_process

File = TypeVar("File")
Measured = TypeVar("Measured")

TOGETHER = 16
"""Files that go to a decoder at a time."""
AHEAD = 2
"""So many rounds of them are under way, so that decoders work while the GPU does."""


def each(work: Callable[[File], Measured], files: Iterable[File]) -> Iterator[Measured]:
    """Yield what the work gives for each file, in order: here, or in decoders where this process has several cores."""
    cores = cores_of_this_process()
    if cores == 1 or current_process().daemon:  # a daemon must not have children
        return map(work, files)
    return _in_decoders(work, iter(files), cores)


def _in_decoders(work: Callable[[File], Measured], files: Iterator[File], cores: int) -> Iterator[Measured]:
    decoders = _decoders(cores)
    under_way: deque[Future[list[Measured]]] = deque()
    with ThreadPoolExecutor(cores, thread_name_prefix="decode") as threads:
        while True:
            while len(under_way) < AHEAD * cores and (some := list(islice(files, TOGETHER))):
                under_way.append(threads.submit(decoders.call, _all, work, some))
            if not under_way:
                return
            yield from under_way.popleft().result()


def _all(work: Callable[[Any], Any], files: list[Any]) -> list[Any]:
    return [work(file) for file in files]


@cache
def _decoders(cores: int) -> Workers:
    """Return this process's decoders, started once; they see no GPU."""
    return Workers([{VISIBLE: "", CORES: "1"}] * cores, preload=["curation.measure.measure"])
