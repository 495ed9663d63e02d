"""Measures images on several cores for the one process that has the GPU: it alone holds the network."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from multiprocessing import current_process
from typing import TypeVar

from shared.launch.child_processes import Workers
from shared.launch.gpus import CORES, VISIBLE, cores_of_this_process

File = TypeVar("File")
Measured = TypeVar("Measured")

MeasureAll = Callable[[Iterable[File]], list[Measured]]
"""What is measured of some files, one for each, in order."""

ALONE = 32
"""Files that are worked on at a time where there are no decoders; their bytes are read one after the other."""
TOGETHER = 16
"""Files that go to a decoder at a time."""
AHEAD = 2
"""So many rounds of them are under way, so that decoders work while the GPU does."""


def each(work: MeasureAll[File, Measured], files: Iterable[File]) -> Iterator[Measured]:
    """Yield what the work gives for each file, in order: here, or in decoders where this process has several cores."""
    cores = cores_of_this_process()
    if cores == 1 or current_process().daemon:  # a daemon must not have children
        return _here(work, iter(files))
    return _in_decoders(work, iter(files), cores)


def _here(work: MeasureAll[File, Measured], files: Iterator[File]) -> Iterator[Measured]:
    while measured := work(islice(files, ALONE)):
        yield from measured


def _in_decoders(work: MeasureAll[File, Measured], files: Iterator[File], cores: int) -> Iterator[Measured]:
    decoders = _decoders(cores)
    under_way: deque[Future[list[Measured]]] = deque()
    with ThreadPoolExecutor(cores, thread_name_prefix="decode") as threads:
        while True:
            while len(under_way) < AHEAD * cores and (some := list(islice(files, TOGETHER))):
                under_way.append(threads.submit(decoders.call, work, some))
            if not under_way:
                return
            yield from under_way.popleft().result()


@cache
def _decoders(cores: int) -> Workers:
    """Return this process's decoders, started once; they see no GPU."""
    return Workers([{VISIBLE: "", CORES: "1"}] * cores, preload=["curation.measure.measure"])
