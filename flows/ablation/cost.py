"""About how long the trainings take, before the first one tells."""

import time
from pathlib import Path

import numpy as np

from shared.params import Compute
from training.params import PretrainParams

SIDE, ROUNDS = 768, 8
SHARE = 0.2
"""Of the speed of a plain matrix product, what a step of a small ViT reaches on a CPU with its crops and its losses."""

START = 8.0
"""Seconds that the two processes of a training, which imports torch twice, take before and after it."""


def products(params: PretrainParams) -> float:
    """Return the floating-point operations of a training: student forward and backward, teacher forward."""
    model, crops, head = params.model, params.crops, params.objective
    tokens = [(side // model.patch_size) ** 2 + 1 for side in (crops.large_size, crops.small_size)]
    large, small = crops.large_count * tokens[0], crops.small_count * tokens[1]
    block = 2 * (4 + 2 * model.mlp_ratio) * model.width**2
    hidden = head.head_hidden
    heads = 2 * (model.width * hidden + hidden**2 + hidden * head.bottleneck + head.bottleneck * head.prototypes)
    masked = large * head.mask_share * sum(head.mask_ratio) / 2
    student, teacher = large + small, large
    asked = 3 * (crops.large_count + crops.small_count + masked) + crops.large_count + masked
    image = model.depth * block * (3 * student + teacher) + heads * asked
    return image * params.optim.batch_size * params.optim.steps


def seconds(params: PretrainParams, compute: Compute) -> float | None:
    """Return about how long a training takes on this CPU; None where a GPU is going to do it."""
    if compute.device != "cpu" and Path("/dev/nvidia0").exists():
        return None
    a = np.ones((SIDE, SIDE), np.float32)
    started = time.perf_counter()
    for _ in range(ROUNDS):
        a @ a
    speed = ROUNDS * 2 * SIDE**3 / (time.perf_counter() - started)
    return START + products(params) / (SHARE * speed)


def clock(span: float) -> str:
    """Write a duration for people."""
    for unit, size in (("h", 3600), ("min", 60)):
        if span >= 1.5 * size:
            return f"{span / size:.1f} {unit}"
    return f"{span:.0f} s"
