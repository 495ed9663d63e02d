"""Two ranks at work: forked from a process that has imported all, where torchrun would take seconds for each."""

import atexit
import importlib
import os
from collections.abc import Callable
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp

from tests.ports import free_port
from tests.waiting import LIMIT_SECONDS

IMPORTED = ("training.loop.pretrain", "training.eval.evaluate")
SPAWN = get_context("spawn")


def as_ranks(work: Callable[..., None], *arguments: Any, count: int = 2) -> None:
    """Run a module's function in so many ranks, which know what torchrun would tell them; fail where one does."""
    starter = _starter()
    starter.send((work, arguments, count))
    if not starter.poll(LIMIT_SECONDS):
        pytest.fail(f"the ranks did not end in {LIMIT_SECONDS:g} s")
    if failure := starter.recv():
        pytest.fail(failure)


@cache
def _starter() -> Connection:
    """The way to the process that starts ranks: one for all tests, which ends when this end is closed."""
    here, there = SPAWN.Pipe()
    SPAWN.Process(target=_start_ranks, args=(there,)).start()
    there.close()
    atexit.register(here.close)
    return here


def _start_ranks(requests: Connection) -> None:
    """Import what ranks need, and compute nothing: a process with threads could not be forked."""
    for module in IMPORTED:
        importlib.import_module(module)
    while True:
        try:
            request = requests.recv()
        except EOFError:
            return
        try:
            mp.start_processes(_as_rank, (free_port(), *request), nprocs=request[-1], start_method="fork")
            requests.send("")
        except (mp.ProcessRaisedException, mp.ProcessExitedException) as failure:
            requests.send(str(failure))


def _as_rank(rank: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...], count: int) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
    torch.set_num_threads(1)
    work(*arguments)
