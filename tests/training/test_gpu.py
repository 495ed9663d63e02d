"""What only a GPU can show. `benchmarks/gpu/checks.py` runs the same without pytest, and rehearses it on a CPU."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from shared.params import Compute
from tests.benchmarks.training_step import batch_of
from tests.training.one_step import CPU, GPU, HERE, assert_equal_steps, needs_half, small, step_of, stepped
from training.data.color_cpu import color_jitter
from training.data.color_params import draw_colours
from training.data.multi_crop import keyed_rng
from training.distributed import all_sum, joined
from training.loop.pretrain import initial_state
from training.params import AugmentParams

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu" / "steps.py"
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


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
    waits = [f"{of.filename}:{of.lineno}" for of in caught if "called a synchronizing" in str(of.message)]
    assert len(waits) <= 1, waits
