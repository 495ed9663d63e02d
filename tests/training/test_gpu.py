"""Runs only where there is a GPU; elsewhere the benchmark says that nothing was measured."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "training_step.py"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")
def test_the_gpu_benchmark_says_plainly_when_there_is_no_gpu() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "There is no GPU here: nothing was measured." in done.stderr
