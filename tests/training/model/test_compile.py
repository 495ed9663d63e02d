"""Compiled branches: the same step without a graph break, shared by blocks, invisible in checkpoints.

The backend is aot_eager: it traces forward and backward as inductor does, but makes no kernels, which takes minutes.
"""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from shared.dataset_version import Published
from shared.params import Compute
from tests.benchmarks.training_step import batch_of
from training.distributed import DistributedContext
from training.loop.pretrain import compile_parts, initial_state
from training.loop.train_step import take_step
from training.params import PretrainParams
from training.runs import checkpoint
from training.runs.run_folder import RunFolder
from training.stages import pretrain

HERE = DistributedContext(torch.device("cpu"), 0, 1)


@pytest.fixture(autouse=True)
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


def outcome(params: PretrainParams, compiles: bool) -> tuple[dict[str, float], list[Tensor]]:
    """Return the losses and the gradient of a run's first step."""
    state, gradient = initial_state(params, HERE), []
    if compiles:
        compile_parts(state, params)
    state.optimizer.register_step_pre_hook(
        lambda *_: gradient.extend(p.grad.clone() for p in state.student.parameters() if p.grad is not None)
    )
    report = take_step(state, state.student, batch_of(8, params), params, HERE, False)
    return report.losses, gradient


@pytest.mark.parametrize(
    "changes",
    [
        {"drop_path": 0.5, "drop_path_rule": "linear"},
        {"drop_path": 0.3, "activation_checkpointing": True, "ffn": "swiglu", "registers": 2},
        {"drop_path": 0.0, "layer_scale": 0},
    ],
)
def test_a_compiled_step_has_the_losses_and_the_gradient_of_the_plain_one(
    tiny: dict[str, Any], changes: dict[str, Any]
) -> None:
    params = PretrainParams.model_validate(tiny | {"model": tiny["model"] | changes | {"depth": 3}})
    plain, made = outcome(params, False), outcome(params, True)
    assert counters["stats"]["unique_graphs"] > 0
    assert made[0] == pytest.approx(plain[0], rel=1e-4)
    assert len(made[1]) == len(plain[1])
    for one, other in zip(made[1], plain[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_blocks_of_one_shape_share_what_is_compiled(tiny: dict[str, Any]) -> None:
    model = tiny["model"] | {"depth": 12, "drop_path": 0.3, "drop_path_rule": "uniform"}
    outcome(PretrainParams.model_validate(tiny | {"model": model}), True)
    of_blocks = 8  # attention and MLP, of teacher and student; take and give back, add and gather
    of_losses = 8  # four passes over crops, and over patches
    assert counters["stats"]["unique_graphs"] == of_blocks + of_losses


@pytest.mark.parametrize("phases", [[], [{"begins": 2, "global_size": 48, "local_size": 24}]])
def test_a_compiled_run_leaves_the_checkpoint_of_a_plain_one(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path, phases: list[dict[str, int]]
) -> None:
    params = PretrainParams.model_validate(tiny | {"phases": phases})
    found = {}
    for compiles in (False, True):
        compute = Compute(device="cpu", workers=1, compile=compiles)
        pretrain(dataset, params=params, compute=compute, workspace=tmp_path, run=str(compiles))
        found[compiles] = checkpoint.read(RunFolder(tmp_path / "runs" / str(compiles)), 4)
    assert counters["stats"]["unique_graphs"] > 0
    for part in ("student", "teacher"):
        assert found[True][part].keys() == found[False][part].keys()
        for name, tensor in found[True][part].items():
            torch.testing.assert_close(tensor, found[False][part][name], rtol=1e-3, atol=1e-4)
