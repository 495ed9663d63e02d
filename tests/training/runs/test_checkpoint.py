"""Checkpoints: checked at every use, passed over aloud, kept by three rules."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.dataset_version import Published
from shared.errors import WorkFailedError
from shared.params import Compute
from shared.storage import sha256
from tests.disks import small_disk
from training.distributed import DistributedContext
from training.loop.pretrain import initial_state
from training.params import PretrainParams
from training.runs import checkpoint
from training.runs.checkpoint_files import ABOUT, STATE
from training.runs.run_folder import RunFolder
from training.stages import pretrain

ON_CPU = Compute(device="cpu", workers=1)


def run(dataset: Published, params: PretrainParams, workspace: Path) -> dict[str, Any]:
    result: dict[str, Any] = pretrain(dataset, params=params, compute=ON_CPU, workspace=workspace, run="run")
    return result


def test_a_finished_run_whose_last_checkpoint_is_damaged_is_not_done_and_makes_it_again(
    params: PretrainParams, dataset: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(dataset, params, tmp_path)
    folder = RunFolder(tmp_path / "runs" / "run")
    state = folder.checkpoint(4) / STATE
    whole = bytearray(state.read_bytes())
    whole[len(whole) // 2] ^= 1
    state.write_bytes(whole)
    assert folder.summary() is None
    assert run(dataset, params, tmp_path)["final_loss"] == first["final_loss"]
    assert "the checkpoint of step 4 is passed over: the checksum of state.pt differs" in capsys.readouterr().out
    assert folder.fault(4) is None


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_a_checkpoint_that_holds_code_is_refused_in_a_line_and_passed_over(
    params: PretrainParams, dataset: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(dataset, params, tmp_path)
    folder = RunFolder(tmp_path / "runs" / "run")
    for write in (lambda file: torch.save({"student": Evil(tmp_path / "ran")}, file), None):
        state = folder.checkpoint(4) / STATE
        if write:
            write(state)
        else:
            state.write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
        about = {"step": 4, "sha256": sha256(state), "summary": None, "bad": None}
        (folder.checkpoint(4) / ABOUT).write_text(json.dumps(about))
        with pytest.raises(WorkFailedError, match="step-00000004: it holds more than tensors, which could run code"):
            checkpoint.read(folder, 4)
        assert run(dataset, params, tmp_path)["final_loss"] == first["final_loss"]
        assert "the checkpoint of step 4 is passed over: it holds more than tensors" in capsys.readouterr().out
    assert not (tmp_path / "ran").exists()


def test_the_newest_every_nth_and_the_best_are_kept(tiny: dict[str, Any], dataset: Published, tmp_path: Path) -> None:
    optim = tiny["optim"] | {"steps": 6}
    kept = {"checkpoint_every": 1, "keep_checkpoints": 1, "keep_every": 4}
    (tmp_path / "runs" / "run").mkdir(parents=True)
    (tmp_path / "runs" / "run" / "best.json").write_text(json.dumps({"step": 3, "by": "knn top1", "value": 1.0}))
    params = PretrainParams.model_validate(tiny | kept | {"optim": optim})
    assert run(dataset, params, tmp_path)["checkpoints"] == [3, 4, 6]


def test_a_bad_checkpoint_is_not_good_and_pushes_no_good_one_out(params: PretrainParams, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "run")
    state = initial_state(params, DistributedContext(torch.device("cpu"), 0, 1))
    for step, bad in ((1, None), (2, None), (3, "because"), (4, "because")):
        state.step = step
        checkpoint.save(folder, state, 2, None, bad=bad)
    assert folder.steps() == [1, 2, 4]
    said: list[str] = []
    assert checkpoint.last_good(folder, said.append) == 2
    assert said == ["the checkpoint of step 4 is passed over: because"]
    with pytest.raises(WorkFailedError, match="step-00000004: because"):
        checkpoint.read(folder, 4)


@pytest.mark.parametrize("weight", [1.7e29, float("nan")])
def test_a_student_with_huge_weights_has_diverged(params: PretrainParams, weight: float) -> None:
    state = initial_state(params, DistributedContext(torch.device("cpu"), 0, 1))
    assert state.divergence is None
    with torch.no_grad():
        next(state.student.parameters()).view(-1)[3] = weight
    assert state.divergence == f"a weight is as large as {weight:.3g}"


def test_a_disk_that_is_full_when_a_checkpoint_is_written_is_named(
    params: PretrainParams, dataset: Published, tmp_path: Path
) -> None:
    told = rf"{tmp_path}/disk/runs/run/checkpoints/step-0*2 needs more than .* its disk is full"
    with small_disk(tmp_path / "disk", "300k", in_use=True) as disk, pytest.raises(WorkFailedError, match=told):
        run(dataset, params, disk)
