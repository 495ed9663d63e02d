"""Two ranks at work: forked from one process that has torch imported, where torchrun would take seconds for each."""

import os
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import torch
import torch.multiprocessing as mp

from tests.ports import free_port

get_context("forkserver").set_forkserver_preload(["tests.training.together", "training.loop.pretrain"])


def as_ranks(work: Callable[..., None], *arguments: Any, count: int = 2) -> None:
    """Run the function of a module in so many ranks, with what torchrun tells them. Raises what a rank raised."""
    mp.start_processes(_as_rank, (count, free_port(), work, arguments), nprocs=count, start_method="forkserver")


def _as_rank(rank: int, count: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ |= {name: str(value) for name, value in (place | {"MASTER_PORT": port}).items()}
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    torch.set_num_threads(1)
    work(*arguments)
