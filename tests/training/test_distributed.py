import multiprocessing
import os
import re
import signal
import socket
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.launch.stuck import STUCK
from shared.params import Compute
from tests.waiting import LIMIT_SECONDS, until
from training.distributed import all_sum, fast_products, joined, products_in_onednn


def setting() -> str:
    matmul: Any = torch.backends.mkldnn.matmul
    return str(matmul.fp32_precision)


def test_fp32_products_stay_fp32_whatever_the_processor() -> None:
    before = setting()
    a, b = torch.randn(2, 300, 300, generator=torch.Generator().manual_seed(1))
    exact = a.double() @ b.double()
    with fast_products(torch.device("cpu")):
        assert float(((a @ b) - exact).abs().max() / exact.abs().max()) < 1e-5
    assert setting() == before


@pytest.mark.parametrize(("limit", "kept"), [(0.0, False), (1.0, True)])
def test_the_faster_products_are_used_only_where_the_probe_finds_them_exact(
    monkeypatch: pytest.MonkeyPatch, limit: float, kept: bool
) -> None:
    monkeypatch.setattr("training.distributed.EXACT", limit)
    with fast_products(torch.device("cpu")):
        assert products_in_onednn() is kept
    with fast_products(torch.device("cuda")):
        assert not products_in_onednn()


def step_for_ever(rank: int, port: int, folder: Path) -> None:
    """A rank that sums with the other, step by step, until one of them stands still."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with joined(Compute(device="cpu", stuck_after=STUCK_AFTER)) as context:
        for step in count(1):
            context.begins("step", step)
            all_sum(torch.ones(1))
            if step == 3:
                (folder / f"rank-{rank}-works").touch()
            time.sleep(0.01)


STUCK_AFTER = 6.0


@pytest.mark.slow
@pytest.mark.parametrize("still", [1, 0])
def test_a_rank_that_stands_still_ends_the_others_with_its_name_and_the_step(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], still: int
) -> None:
    """Rank 0 keeps the board where signs of life stand: its silence is another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=step_for_ever, args=(rank, port, tmp_path), daemon=True) for rank in range(2)]
    for one in ranks:
        one.start()
    try:
        works = [tmp_path / f"rank-{rank}-works" for rank in range(2)]
        until(lambda: all(mark.exists() for mark in works), "the ranks did not begin")
        assert ranks[still].pid
        os.kill(ranks[still].pid, signal.SIGSTOP)
        ranks[1 - still].join(LIMIT_SECONDS)
        assert ranks[1 - still].exitcode == STUCK
    finally:
        for one in ranks:
            one.kill()
            one.join(LIMIT_SECONDS)
    cause = {
        1: rf"rank 1 \(process {ranks[1].pid} on .*\) gives no sign of life, last seen in",
        0: "rank 0 does not answer",
    }[still]
    assert re.search(rf"step \d+ has not ended within 6 s: {cause}", capfd.readouterr().err)
