"""What only a GPU can show. `tests/benchmarks/gpu/checks.py` runs the same without pytest, and rehearses it on a CPU."""

import os
import subprocess
import sys
import unittest
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from shared.params import Compute
from tests.benchmarks.training_step import batch_of
from training.data.batch import Batch
from training.data.color_cpu import color_jitter
from training.data.color_params import draw_colours
from training.data.multi_crop import keyed_rng
from training.distributed import DistributedContext, all_sum, joined
from training.loop.pretrain import initial_state
from training.loop.train_step import StepReport, take_step
from training.model.blocks import compiled
from training.params import AugmentParams, PretrainParams
from training.runs.checkpoint import State

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu" / "steps.py"
GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CPU = DistributedContext(torch.device("cpu"), 0, 1)
HERE = DistributedContext(GPU, 0, 1)

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


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
    for model in (state.student, state.teacher) if compiles else ():
        model.backbone.branches = compiled(params.model.depth)
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
    for name, loss in one[0].losses.items():
        assert abs(loss - other[0].losses[name]) <= tolerance * abs(other[0].losses[name]), (name, loss, other[0].losses)
    assert one[1].keys() == other[1].keys()
    ours, theirs = (torch.cat([grads[name].flatten() for name in sorted(one[1])]) for grads in (one[1], other[1]))
    assert float((ours - theirs).norm() / theirs.norm()) <= 10 * tolerance


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")
def test_the_gpu_benchmark_says_plainly_when_there_is_no_gpu() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "There is no GPU here: nothing was measured." in done.stderr


@pytest.mark.gpu
@on_a_gpu
def test_a_gpu_changes_colours_as_a_worker_does_within_a_gray_level() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (32, 98, 98, 3), dtype=np.uint8))
    colours = torch.from_numpy(draw_colours(AugmentParams(), [0.5] * 32, [0.5] * 32, keyed_rng(0)))
    gap = (color_jitter(images.to(GPU), colours).cpu().int() - color_jitter(images, colours).int()).abs()
    assert gap.max() <= 1
    assert (gap > 0).float().mean() < 1e-3


@pytest.mark.gpu
@on_a_gpu
def test_packed_crops_have_the_tokens_of_a_cpu() -> None:
    params = small()
    batch, outputs = batch_of(8, params), []
    for context in (CPU, HERE):
        state, here = initial_state(params, context), batch.to(context.device)
        crops = [here.global_crops.float() / 255, here.local_crops.float() / 255]
        with torch.no_grad():
            tokens = state.student.backbone.forward_crops(crops, here.mask, here.mask_indices, None)
        outputs.append([part.cpu() for part in tokens])
    for one, other in zip(*outputs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@on_a_gpu
def test_a_step_in_fp32_has_the_losses_and_gradient_of_a_cpu() -> None:
    assert_equal_steps(stepped(small(), HERE), stepped(small(), CPU), 1e-3)


@pytest.mark.gpu
@on_a_gpu
def test_a_step_in_bf16_is_that_of_fp32_within_its_rounding() -> None:
    assert_equal_steps(stepped(small("bf16"), HERE), stepped(small(), CPU), 2e-2)


@pytest.mark.gpu
@on_a_gpu
def test_a_scaled_step_in_fp16_is_that_of_fp32_within_its_rounding() -> None:
    needs_half()
    assert_equal_steps(stepped(small("fp16"), HERE), stepped(small(), CPU), 1e-2)


@pytest.mark.gpu
@on_a_gpu
def test_a_step_that_overflows_in_fp16_is_left_out_and_halves_the_scale() -> None:
    needs_half()
    params = small("fp16")
    state, batch = initial_state(params, HERE), batch_of(8, params).to(GPU)
    state.scaler = torch.amp.GradScaler("cuda", init_scale=2.0**60)
    before = [p.detach().clone() for p in state.student.parameters()]
    report = step_of(state, batch, params)
    assert not report.taken
    assert state.skipped == 1
    assert state.scaler.get_scale() == 2.0**59
    assert all(torch.equal(p, old) for p, old in zip(state.student.parameters(), before, strict=True))


@pytest.mark.gpu
@on_a_gpu
def test_compiled_branches_have_the_losses_and_gradient_of_plain_ones() -> None:
    torch._dynamo.reset()
    assert_equal_steps(stepped(small(), HERE, compiles=True), stepped(small(), HERE), 1e-3)


@pytest.mark.gpu
@on_a_gpu
def test_compiled_and_recomputed_branches_have_them_in_bf16() -> None:
    torch._dynamo.reset()
    recomputed = small("bf16", activation_checkpointing=True)
    assert_equal_steps(stepped(recomputed, HERE, compiles=True), stepped(small("bf16"), HERE), 2e-2)


@pytest.mark.gpu
@on_a_gpu
def test_one_process_of_nccl_exchanges_with_itself() -> None:
    os.environ.update(RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT="29513", TORCHELASTIC_RUN_ID="one")
    try:
        with joined(Compute(device="auto")) as context:
            assert dist.get_backend() == ("nccl" if GPU.type == "cuda" else "gloo")
            assert float(all_sum(torch.full((), 3.0, device=GPU))) == 3
            exchanged = stepped(small(), context, exchanges=True)
    finally:
        for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"):
            os.environ.pop(name)
    assert_equal_steps(exchanged, stepped(small(), HERE), 1e-4)


@pytest.mark.gpu
@on_a_gpu
def test_the_processor_waits_for_the_gpu_once_in_a_step() -> None:
    params = small("bf16")
    state, batch = initial_state(params, HERE), batch_of(8, params).to(GPU)
    step_of(state, batch, params)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if GPU.type == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        step_of(state, batch, params)
        if GPU.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    waits = [f"{of.filename}:{of.lineno}" for of in caught if "synchronizing" in str(of.message)]
    assert len(waits) <= 1, waits


@pytest.mark.gpu
@on_a_gpu
def test_faiss_finds_on_a_gpu_what_it_finds_on_a_cpu() -> None:
    try:
        import faiss
    except ImportError:
        raise unittest.SkipTest("faiss is not installed") from None
    if not getattr(faiss, "get_num_gpus", int)():
        raise unittest.SkipTest("this faiss has no GPU")
    x = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
    flat = faiss.IndexFlatIP(64)
    flat.add(x)
    on_gpu = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, flat)
    assert (flat.search(x, 5)[1] == on_gpu.search(x, 5)[1]).mean() > 0.999


def step_of(state: State, batch: Batch, params: PretrainParams) -> StepReport:
    """Return one step's report."""
    return take_step(state, state.student, batch, params, HERE, False)


def needs_half() -> None:
    """Skip where there is no GPU: fp16 is not for CPUs."""
    if GPU.type == "cpu":
        raise unittest.SkipTest("fp16 needs a GPU")
