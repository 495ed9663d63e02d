"""How many FLOPs a second a device could do at best: from its data sheet, or measured where none is known."""

import time
from typing import NamedTuple

import torch

from training.distributed import DTYPES, DistributedContext

DATA_SHEETS = (
    ("B200", 2250e12),
    ("H200", 989e12),
    ("H100 NVL", 835e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("A40", 149.7e12),
    ("A30", 165e12),
    ("A10G", 70e12),
    ("A10", 125e12),
    ("L40S", 362e12),
    ("L40", 181e12),
    ("L4", 121e12),
    ("RTX 5090", 209.5e12),
    ("RTX 4090", 165.2e12),
    ("RTX 3090", 71e12),
    ("RTX A6000", 154.8e12),
    ("V100", 125e12),
    ("T4", 65e12),
)
"""Part of the name that CUDA tells, and dense FLOP/s in half precision, summed in fp32; the first match counts."""
TRIALS = 5


class Peak(NamedTuple):
    """FLOP/s of one process's device, and who says so."""

    flops: float
    source: str


def peak_of(context: DistributedContext, precision: str) -> Peak:
    """Return the data sheet's figure for half precision on a known GPU, else the fastest of a few products."""
    if context.device.type == "cuda" and precision != "fp32":
        name = torch.cuda.get_device_name(context.device)
        listed = next((flops for part, flops in DATA_SHEETS if part in name), None)
        if listed is not None:
            return Peak(listed, f"data sheet of {name}")
    return Peak(measured_peak(context.device, precision), f"measured with products in {precision}")


def measured_peak(device: torch.device, precision: str) -> float:
    """Return FLOP/s of square products, the fastest of a few: a ceiling is what can be done, not what mostly is."""
    side = 8192 if device.type == "cuda" else 768
    numbers = torch.Generator(device).manual_seed(0)  # a GPU is faster with numbers that are all alike
    a, b = torch.randn(2, side, side, generator=numbers, device=device).to(DTYPES[precision])
    fastest = min(_seconds(a, b) for _ in range(1 + TRIALS))
    return 2 * side**3 / fastest


def _seconds(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return how long one product takes; on a GPU as part of several, so that its start does not count."""
    repeats = 10 if a.is_cuda else 1
    _wait(a)
    started = time.perf_counter()
    for _ in range(repeats):
        a @ b
    _wait(a)
    return (time.perf_counter() - started) / repeats


def _wait(a: torch.Tensor) -> None:
    if a.is_cuda:
        torch.cuda.synchronize(a.device)
