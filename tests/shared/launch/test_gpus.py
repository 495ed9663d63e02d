import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.catalog import DUPLICATES, IMAGES
from shared.launch import executors
from shared.launch import gpus as gpus_module
from shared.launch.executors import Inline, processes_for
from shared.launch.gpus import CORES, VISIBLE, cores_of_this_process, gpu_environments, visible_gpus
from shared.params import NOTHING, Compute, Needing, Params, Resources
from shared.stage import stage
from shared.stage_runner import Rounds, run
from shared.storage import Store
from shared.tables import Output, Rows


@pytest.fixture
def torch_for_gpus(monkeypatch):
    monkeypatch.setattr(gpus_module, "version", lambda _: "2.13.0")


def machine(folder: Path, gpus: int) -> str:
    """A folder of devices as Linux shows them."""
    for name in ["nvidiactl", "nvidia-uvm", *(f"nvidia{i}" for i in range(gpus))]:
        (folder / name).touch()
    return str(folder)


def sight(_: int) -> tuple[int, str, str]:
    return os.getpid(), os.environ[VISIBLE], os.environ.get(CORES, "")


@pytest.mark.parametrize(
    ("device", "environment", "gpus"),
    [
        ("auto", {}, ("0", "1", "2")),
        ("cpu", {}, ()),
        ("auto", {VISIBLE: "2, 0"}, ("2", "0")),
        ("cuda", {VISIBLE: "GPU-8f2a,MIG-11"}, ("GPU-8f2a", "MIG-11")),
        ("auto", {VISIBLE: ""}, ()),
        ("auto", {VISIBLE: "1,-1,0"}, ("1",)),  # CUDA stops at the first that is none
    ],
)
def test_the_gpus_to_use_are_those_that_cuda_would_see(torch_for_gpus, tmp_path, device, environment, gpus):
    assert visible_gpus(device, environment, machine(tmp_path, 3)) == gpus


def test_a_torch_without_cuda_has_no_gpu_to_use(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus_module, "version", lambda _: "2.13.0+cpu")
    assert visible_gpus("auto", {}, machine(tmp_path, 1)) == ()


def test_each_process_of_a_gang_sees_its_own_gpu_and_has_its_share_of_the_cores():
    assert gpu_environments(("3", "5"), 16) == [{VISIBLE: "3", CORES: "8"}, {VISIBLE: "5", CORES: "8"}]
    assert gpu_environments(("0", "1"), 1) == [{VISIBLE: "0", CORES: "1"}, {VISIBLE: "1", CORES: "1"}]
    assert cores_of_this_process({CORES: "8"}) == 8
    assert cores_of_this_process({}) == 1


def test_work_for_gpus_goes_to_one_process_for_each_and_other_work_sees_none(monkeypatch):
    """Four pieces a GPU, two GPUs that are not there: which process a piece lands in needs none."""
    monkeypatch.setattr(executors, "visible_gpus", lambda _: ("1", "4"))
    processes = processes_for(Compute(workers=2))
    on_gpus = set(processes.map(sight, range(8), "sight", Resources(gpu=True)))
    assert len(on_gpus) <= 2
    assert {where[1:] for where in on_gpus} <= {("1", "1"), ("4", "1")}
    assert {where[1:] for where in processes.map(sight, range(8), "sight")} == {("", "1")}
    processes.close()


class SightParams(Params):
    pass


@stage(reads=(IMAGES,), writes=DUPLICATES, shape="rounds")
def seeing(images: Rows, *, params: SightParams, rounds: Rounds) -> Iterator[dict[str, Any]]:
    """Say which GPU two kinds of work see."""
    for title, work in (("plain", sight), ("needing", Needing(sight, Resources(gpu=True)))):
        yield {title: sorted({gpu for _, gpu, _ in rounds.map(work, range(4))})}


def test_inside_a_stage_only_the_work_that_needs_a_gpu_sees_one(monkeypatch, tmp_path):
    monkeypatch.setattr(executors, "visible_gpus", lambda _: ("4",))
    processes = processes_for(Compute(workers=2))
    images = Output("index", "none", IMAGES.aligned, ())
    output = run(seeing, SightParams(), [images], store=Store(str(tmp_path)), executor=processes)
    assert output.facts == {"plain": [""], "needing": ["4"]}
    processes.close()


class Noting(Inline):
    """Does the work here, and notes what each needs."""

    def __init__(self) -> None:
        self.needs: list[Resources] = []

    def map(self, fn: Any, items: Any, label: str, needs: Resources = NOTHING) -> Iterator[Any]:
        self.needs.append(needs)
        return super().map(fn, items, label, needs)


def test_work_that_needs_a_gpu_needs_what_its_stage_does_as_well(monkeypatch, tmp_path):
    for name in (VISIBLE, CORES):
        monkeypatch.setenv(name, "1")
    executor, images = Noting(), Output("index", "none", IMAGES.aligned, ())
    heavy = replace(seeing, needs=lambda _: Resources(memory=3))
    run(heavy, SightParams(), [images], store=Store(str(tmp_path)), executor=executor)
    assert executor.needs == [Resources(memory=3), Resources(gpu=True, memory=3)]


def test_without_a_gpu_to_use_no_process_sees_one(monkeypatch):
    monkeypatch.setenv(VISIBLE, "0")
    processes = processes_for(Compute(workers=1, device="cpu"))
    ((_, seen, _),) = processes.map(sight, [0], "sight", Resources(gpu=True))
    assert seen == ""
    processes.close()


def test_who_follows_a_dead_process_has_its_gpu(monkeypatch):
    monkeypatch.setattr(executors, "visible_gpus", lambda _: ("4",))
    processes = processes_for(Compute(workers=1))
    ((first, gpu, _),) = processes.map(sight, [0], "sight", Resources(gpu=True))
    os.kill(first, 9)
    ((second, same, _),) = processes.map(sight, [0], "sight", Resources(gpu=True))
    assert (first != second, gpu, same) == (True, "4", "4")
    processes.close()


def test_without_gpus_work_for_them_goes_to_the_cores(monkeypatch):
    monkeypatch.setattr(executors, "visible_gpus", lambda _: ())
    monkeypatch.setenv(VISIBLE, "")
    processes = processes_for(Compute(workers=1))
    assert processes.workers_for(Resources(gpu=True)) is processes.workers
