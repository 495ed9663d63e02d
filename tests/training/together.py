"""Two ranks at work: forked from a process that has imported all, where torchrun would take seconds for each."""

import atexit
import importlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp

from tests.ports import free_port
from tests.waiting import LIMIT_SECONDS, until

IMPORTED = ("training.loop.pretrain", "training.eval.evaluate")
SPAWN = get_context("spawn")


def as_ranks(work: Callable[..., None], *arguments: Any, count: int = 2) -> None:
    """Run a module's function in so many ranks, which know what torchrun would tell them; fail where one does."""
    starter = _starter()
    starter.send((work, arguments, count))
    if not starter.poll(2 * LIMIT_SECONDS):
        pytest.fail("the process that starts ranks says nothing")
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
    with suppress(EOFError):
        for request in iter(requests.recv, None):
            requests.send(_failure(*request))


def _failure(work: Callable[..., None], arguments: tuple[Any, ...], count: int) -> str:
    """Run ranks to their end, and tell what went wrong, if anything did."""
    ranks = mp.start_processes(_as_rank, (free_port(), work, arguments, count), count, join=False, start_method="fork")
    assert ranks is not None
    try:
        until(lambda: ranks.join(timeout=1), "the ranks end")
    except (mp.ProcessRaisedException, mp.ProcessExitedException, pytest.fail.Exception) as failure:
        return str(failure)
    finally:
        for process in ranks.processes:
            process.kill()
    return ""


def _as_rank(rank: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...], count: int) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
    torch.set_num_threads(1)
    work(*arguments)
