"""A training on several machines, on the loopback of one: a lost machine costs nothing but time."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.dataset_version import Published
from shared.launch.worker import work
from shared.params import Compute
from tests.ports import free_port
from tests.training.runs.test_runs import contents, job, same_tensors, steps_taken
from tests.waiting import LIMIT_SECONDS, started, until
from training.params import PretrainParams
from training.runs.run_folder import RunFolder

MACHINES, STEPS, EVERY = 4, 8, 2
CORES = sorted(os.sched_getaffinity(0))
"""Each machine has one: threads of all would wait for each other."""
ROOT = Path(__file__).parents[3]


@pytest.fixture
def long(tiny: dict[str, Any]) -> PretrainParams:
    optim, objective = tiny["optim"] | {"steps": STEPS}, tiny["objective"] | {"koleo_group": 2}
    return PretrainParams.model_validate(
        tiny | {"optim": optim, "objective": objective, "checkpoint_every": EVERY, "keep_checkpoints": 9}
    )


def rank(path: Path, port: int, number: int, log: Path) -> None:
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 1)
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(MACHINES), "MASTER_ADDR": "127.0.0.1"}
    os.sched_setaffinity(0, {CORES[number % len(CORES)]})
    os.environ |= {"MASTER_PORT": str(port), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    work(path)
    sys.stdout.flush()
    os._exit(0)  # what pytest's process registered for its own end is not for this one


def undisturbed(path: Path) -> None:
    """Train with as many ranks, forked off this process: they need not import torch again."""
    context, port = multiprocessing.get_context("fork"), free_port()
    log = path.with_name("log")
    ranks = [context.Process(target=rank, args=(path, port, number, log), daemon=False) for number in range(MACHINES)]
    for one in ranks:
        one.start()
    for one in ranks:
        one.join(LIMIT_SECONDS)
        one.kill()
    assert [one.exitcode for one in ranks] == [0] * MACHINES, log.read_text()


@contextmanager
def machine(number: int, port: int, workspace: Path, params: PretrainParams) -> Iterator[subprocess.Popen[str]]:
    """A command as a TrainJob starts it; whatever it started is gone after the block."""
    place = {"PET_NNODES": MACHINES, "PET_NODE_RANK": number, "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": port}
    compute = Compute(device="cpu", workers=1, launcher="env")
    command = [sys.executable, "-m", "tests.training.runs.machine", str(workspace)]
    environment = {**os.environ, **{name: str(value) for name, value in place.items()}, "OMP_NUM_THREADS": "1"}
    with started(
        [*command, params.model_dump_json(), compute.model_dump_json()],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {CORES[number % len(CORES)]}),
    ) as process:
        try:
            yield process
        finally:
            lose(process)


def lose(process: subprocess.Popen[str]) -> None:
    """End a machine as a power cut does: every process of it, at once."""
    if process.poll() is None:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for one in family:
            one.kill()
        psutil.wait_procs(family, timeout=20)


def losses(folder: RunFolder) -> list[float]:
    return [row["loss"] for row in steps_taken(folder.path)]


@pytest.mark.slow
def test_a_run_whose_machine_is_lost_and_replaced_ends_as_an_undisturbed_one(
    long: PretrainParams, dataset: Published, tmp_path: Path
) -> None:
    undisturbed(job(dataset, tmp_path, "undisturbed", "pretrain", long.model_dump(mode="json")))
    whole, lost = (RunFolder(tmp_path / "runs" / name) for name in ("undisturbed", "machines"))
    port = free_port()
    with ExitStack() as stack:
        nodes = [stack.enter_context(machine(number, port, tmp_path, long)) for number in range(MACHINES)]
        until(lambda: lost.steps() or any(one.poll() is not None for one in nodes), "no checkpoint was written")
        lose(nodes[2])
        assert lost.steps()[-1] < STEPS, "the run was over before its machine was lost"
        nodes[2] = stack.enter_context(machine(2, port, tmp_path, long))
        said = [node.communicate(timeout=2 * LIMIT_SECONDS)[0] for node in nodes]
    assert all(text.endswith(f"done at step {STEPS}\n") for text in said), said
    assert "goes on from the checkpoint of step" in "".join(said)
    assert losses(lost) == losses(whole)
    assert same_tensors(contents(whole, STEPS), contents(lost, STEPS))
    assert json.loads((lost.path / "config.json").read_text())["resolved"]["processes"] == MACHINES
