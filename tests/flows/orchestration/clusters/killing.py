"""Work that kills its own worker in the middle, once: what a cluster has to get over."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from shared.launch.executors import Executor
from shared.params import NOTHING, Resources

SETTINGS = ("curation.index.part_images=16", "curation.pack.shard_images=16", "curation.balance.enabled=true")
"""Of a curation in several parts, in which every stage but the evaluation sets' has work."""


def killed_once(marker: str, fn: Callable[[Any], Any], item: Any) -> Any:
    """Do the work; whoever comes first is killed with the result in its hands."""
    result = fn(item)
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return result
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process goes no further")


def killed_always(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """An executor on which one worker is killed while it makes parts of a stage."""

    def __init__(self, executor: Executor, stage: str, marker: str) -> None:
        self.executor, self.stage, self.marker = executor, stage, marker

    def map(
        self, fn: Callable[[Any], Any], items: Sequence[Any], label: str, needs: Resources = NOTHING
    ) -> Iterator[Any]:
        work = partial(killed_once, self.marker, fn) if label == self.stage else fn
        return self.executor.map(work, items, label, needs)
