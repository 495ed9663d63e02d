"""About how long the trainings take, before the first one tells."""

import time
from pathlib import Path

import numpy as np

from shared.params import Compute
from training.params import PretrainParams

SIDE, ROUNDS = 768, 20
SHARE = 0.5
"""Of the speed of a plain fp32 product, what a whole step of a small ViT reached on a CPU: .7 in bf16 with AMX."""
START = 8.0
"""Seconds that the two processes of a training, which imports torch twice, take before and after it."""


def seconds(params: PretrainParams, steps: int | str, compute: Compute) -> float | None:
    """Return about how long the steps take on this CPU; None where a GPU does it, or where they are not counted."""
    if (compute.device != "cpu" and Path("/dev/nvidia0").exists()) or not isinstance(steps, int):
        return None
    from training.cost.step_flops import step_flops

    a, spans = np.ones((SIDE, SIDE), np.float32), []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        a @ a
        spans.append(time.perf_counter() - started)
    speed = 2 * SIDE**3 / min(spans)  # the fastest: others may be at work
    return START + step_flops(params).true * steps / (SHARE * speed)


def clock(span: float) -> str:
    """Write a duration for people."""
    for unit, size in (("h", 3600), ("min", 60)):
        if span >= 1.5 * size:
            return f"{span / size:.1f} {unit}"
    return f"{span:.0f} s"
