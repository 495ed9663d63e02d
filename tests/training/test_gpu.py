"""Runs only where there is a GPU; elsewhere the benchmark says that nothing was measured."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.color_cpu import color_jitter
from training.data.color_params import draw_colours
from training.data.multi_crop import keyed_rng
from training.params import AugmentParams

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_step.py"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")
def test_the_gpu_benchmark_says_plainly_when_there_is_no_gpu() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "There is no GPU here: nothing was measured." in done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_changes_colours_as_a_worker_does_within_a_gray_level() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (32, 98, 98, 3), dtype=np.uint8))
    colours = torch.from_numpy(draw_colours(AugmentParams(), [0.5] * 32, [0.5] * 32, keyed_rng(0)))
    gap = (color_jitter(images.cuda(), colours).cpu().int() - color_jitter(images, colours).int()).abs()
    assert gap.max() <= 1
    assert (gap > 0).float().mean() < 1e-3
