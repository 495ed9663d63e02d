"""Gradient accumulation, by one process or several, gives the same losses, weights, teacher and centre."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from shared.dataset_version import Published
from shared.errors import RecipeError
from shared.launch.worker import work
from shared.params import Compute
from tests.training.runs.test_runs import job, steps_taken
from tests.training.together import as_ranks
from training.data.batch import Batch
from training.data.index import SampleIndex
from training.data.loader import batches
from training.distributed import DistributedContext
from training.loop.pretrain import check_batch, initial_state
from training.loop.train_step import take_step
from training.loss.cross_entropy import Prototypes
from training.loss.targets import TeacherTargets
from training.params import PretrainParams
from training.runs import checkpoint
from training.runs.run_folder import RunFolder
from training.stages import pretrain

ALONE = DistributedContext(torch.device("cpu"), 0, 1)


def grouped(tiny: dict[str, Any], **objective: Any) -> PretrainParams:
    """Groups of 2 images, so that 8 can be cut in 4; branches are skipped, CLS and patches have heads of their own."""
    return PretrainParams.model_validate(
        tiny
        | {"model": tiny["model"] | {"drop_path": 0.5, "drop_path_rule": "uniform"}}
        | {"objective": tiny["objective"] | {"koleo_group": 2, "separate_heads": True} | objective}
        | {"optim": tiny["optim"] | {"steps": 6, "lr": 0.01, "lr_rule": "none"}, "checkpoint_every": 6}
    )


@pytest.mark.parametrize("kept_bytes", [0, 1 << 30])
@pytest.mark.parametrize("rule", ["sinkhorn", "centre"])
def test_targets_of_some_rows_are_rows_of_the_targets_of_all(
    rule: Any, kept_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loss.cross_entropy.COLUMNS", 3)
    monkeypatch.setattr("training.loss.cross_entropy.KEPT_BYTES", kept_bytes)
    torch.manual_seed(0)
    z, prototypes = F.normalize(torch.randn(9, 4), dim=1), torch.randn(8, 4)
    targets = TeacherTargets(rule, 8)(z, Prototypes.of(prototypes, prototypes.dtype), 0.1)
    whole = torch.cat([chunk for _, chunk in targets], dim=1)
    parts = [torch.cat([chunk for _, chunk in part], dim=1) for part in targets.split([2, 0, 4, 3])]
    assert [len(part) for part in parts] == [2, 0, 4, 3]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_micro_batches_are_the_batches_of_their_images(params: PretrainParams, dataset: Published) -> None:
    index = SampleIndex(dataset, params.seed)
    whole = next(batches(index, params, start=0, context=ALONE, workers=0))
    ranks = [DistributedContext(ALONE.device, rank, 4) for rank in range(4)]
    shares = [next(batches(index, params, start=0, context=context, workers=0)) for context in ranks]
    for micro_batch, share in zip(whole.micro_batches(4, 8), shares, strict=True):
        for name, ours, theirs in zip(Batch._fields, micro_batch, share, strict=True):
            assert torch.equal(ours, theirs), name


def outcome(params: PretrainParams, dataset: Published, accumulate: int) -> dict[str, torch.Tensor]:
    """Three steps of plain descent, whose steps are as alike as gradients are: Adam's are not."""
    state = initial_state(params, ALONE)
    state.optimizer = torch.optim.SGD([{"params": state.student.parameters(), "lr_factor": 10, "decay_factor": 0}])
    loader = batches(SampleIndex(dataset, params.seed), params, start=0, context=ALONE, workers=0)
    rows = []
    for _ in range(3):
        report = take_step(state, state.student, next(loader), params, ALONE, False, accumulate)
        rows.append(torch.tensor([*report.losses.values(), report.grad_norm, report.prototype_entropy]))
    parts = {"student": state.student, "teacher": state.teacher, "objective": state.objective}
    tensors = {f"{part}.{name}": x for part, module in parts.items() for name, x in module.state_dict().items()}
    return tensors | {"report": torch.stack(rows)}


@pytest.mark.parametrize("rule", ["sinkhorn", "centre"])
def test_gradient_accumulation_gives_the_step_of_the_whole_batch(
    tiny: dict[str, Any], dataset: Published, rule: str
) -> None:
    params = grouped(tiny, targets=rule)
    whole = outcome(params, dataset, 1)
    untrained = initial_state(params, ALONE).student.state_dict()
    assert any(not torch.equal(x, whole[f"student.{name}"]) for name, x in untrained.items())
    for accumulate in (2, 4):
        for name, x in outcome(params, dataset, accumulate).items():
            torch.testing.assert_close(x, whole[name], rtol=1e-4, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}")


def test_two_processes_that_accumulate_train_as_one_that_does_not(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    params = grouped(tiny, mask_share=0.07)  # one crop: three of four micro-batches hide no patch
    runs = tmp_path / "runs"
    cpu = Compute(device="cpu", workers=1)
    pretrain(dataset, params=params, compute=cpu, workspace=tmp_path, run="whole")
    path = job(dataset, tmp_path, "pieces", "pretrain", params.model_dump(mode="json"))
    asked = json.loads(path.read_text())
    path.write_text(json.dumps(asked | {"compute": asked["compute"] | {"accumulate": 2}}))
    as_ranks(work, path)
    whole, pieces = (steps_taken(runs / name) for name in ("whole", "pieces"))
    assert len(whole) == len(pieces) == 6
    for loss in ("loss", "loss_dino", "loss_ibot", "loss_koleo", "grad_norm"):
        assert [row[loss] for row in pieces] == pytest.approx([row[loss] for row in whole], rel=1e-4, abs=1e-4)
    one, other = (checkpoint.read(RunFolder(runs / name), 6)["student"] for name in ("whole", "pieces"))
    for name, x in one.items():
        torch.testing.assert_close(other[name], x, rtol=1e-3, atol=1e-4)


def test_micro_batches_that_would_cut_a_group_are_refused_with_those_that_would_not(params: PretrainParams) -> None:
    check_batch(params, 100, 1, accumulate=2)
    with pytest.raises(RecipeError, match=r"groups of 4 images.*accumulate = 4 of a process's 8 images.*1, 2"):
        check_batch(params, 100, 1, accumulate=4)
    with pytest.raises(RecipeError, match="to one of 1, or"):
        check_batch(params, 100, 2, accumulate=2)
