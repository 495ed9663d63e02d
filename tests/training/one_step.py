"""One small step on a device, and how two of them compare: losses, and the whole gradient."""

import unittest
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from tests.benchmarks.training_step import batch_of
from training.data.batch import Batch
from training.distributed import DistributedContext
from training.loop.pretrain import compile_parts, initial_state
from training.loop.train_step import StepReport, take_step
from training.params import PretrainParams
from training.runs.checkpoint import State

GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CPU = DistributedContext(torch.device("cpu"), 0, 1)
HERE = DistributedContext(GPU, 0, 1)


def small(precision: str = "fp32", **model: Any) -> PretrainParams:
    """Return a step of two crop sizes with masks, KoLeo and drop path, whose heads are as wide as ViT-L's."""
    shape = {"patch_size": 14, "width": 128, "depth": 3, "heads": 2, "drop_path": 0.3, "layer_scale": 0.1}
    return PretrainParams.model_validate(
        {
            "model": shape | model,
            "crops": {"global_size": 112, "local_size": 56, "local_count": 3},
            "objective": {"prototypes": 512, "head_hidden": 64, "bottleneck": 32, "koleo_group": 8},
            "optim": {"batch_size": 8, "lr_rule": "none", "lr": 1e-4, "freeze_prototypes": 0, "precision": precision},
        }
    )


def stepped(
    params: PretrainParams, context: DistributedContext, *, compiles: bool = False, exchanges: bool = False
) -> tuple[StepReport, dict[str, Tensor]]:
    """Return the report of a run's first step and its gradient, on the CPU."""
    state, gradient = initial_state(params, context), {}
    if state.scaler.is_enabled():
        state.scaler = torch.amp.GradScaler("cuda", init_scale=256.0)  # the usual one overflows in the first steps
    if compiles:
        compile_parts(state, params)
    state.optimizer.register_step_pre_hook(
        lambda *_: gradient.update(
            {name: p.grad.cpu().clone() for name, p in state.student.named_parameters() if p.grad is not None}
        )
    )
    wrapped = DistributedDataParallel(state.student, static_graph=True) if exchanges else state.student
    batch = batch_of(8, params).to(context.device)
    return take_step(state, wrapped, batch, params, context, False), gradient


def assert_equal_steps(
    one: tuple[StepReport, dict[str, Tensor]], other: tuple[StepReport, dict[str, Tensor]], tolerance: float
) -> None:
    """Losses agree to the tolerance, the whole gradient to ten times that, by its norm."""
    for name, loss in other[0].losses.items():
        assert abs(one[0].losses[name] - loss) <= tolerance * abs(loss), (name, one[0].losses, other[0].losses)
    assert one[1].keys() == other[1].keys()
    ours, theirs = (torch.cat([grads[name].flatten() for name in sorted(one[1])]) for grads in (one[1], other[1]))
    assert float((ours - theirs).norm() / theirs.norm()) <= 10 * tolerance


def step_of(state: State, batch: Batch, params: PretrainParams) -> StepReport:
    """Return one step's report."""
    return take_step(state, state.student, batch, params, HERE, False)


def needs_half() -> None:
    """Skip where there is no GPU: fp16 is not for CPUs."""
    if GPU.type == "cpu":
        raise unittest.SkipTest("fp16 needs a GPU")
