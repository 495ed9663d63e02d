"""Values that change over a run: pure functions from the step (counted from 0) to a number.

First and last steps are DINOv2's: the first of a warm-up has its start, the last its end, and a cosine over n steps
would reach its end in step n, which is one after the last.
"""

import math
from typing import NamedTuple

from training.params import OptimParams
from training.params.resolved import ResolvedOptimParams, ResolvedParams


class Values(NamedTuple):
    """Everything that depends on the step."""

    lr: float
    weight_decay: float
    momentum: float
    teacher_temperature: float
    backbone_lr: float
    """Share of the learning rate that the backbone has: less than 1 while only heads learn, and a warm-up after."""


def cosine(step: int, steps: int, start: float, end: float) -> float:
    """Go from start, at step 0, to end, at step `steps` and after."""
    share = 1.0 if step >= steps else step / steps
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def linear(step: int, steps: int, start: float, end: float) -> float:
    """Go from start, at step 0, to end, at step `steps` and after."""
    return end if step >= steps else start + (end - start) * step / steps


def peak_lr(params: OptimParams) -> float:
    """Return the greatest learning rate, scaled to the batch by the recipe's rule."""
    ratio = params.batch_size / params.lr_reference_batch
    return params.lr * {"none": 1.0, "sqrt": math.sqrt(ratio), "linear": ratio}[params.lr_rule]


def learning_rate(step: int, params: ResolvedOptimParams) -> float:
    """Rise linearly from 0 to the peak, which the last step of the warm-up has, then fall along a cosine."""
    peak, warmup = peak_lr(params), params.warmup_steps
    if step < warmup:
        return linear(step, warmup - 1, 0.0, peak) if warmup > 1 else 0.0
    return cosine(step - warmup, params.steps - warmup, peak, params.lr_final)


def momentum(step: int, params: ResolvedOptimParams) -> float:
    """Return the EMA's momentum: from the first value towards the last, by a cosine or a line."""
    rule = {"cosine": cosine, "linear": linear}[params.momentum_rule]
    return rule(step, params.steps, *params.momentum)


def thawed(step: int, params: ResolvedOptimParams) -> float:
    """Return the backbone's share of the learning rate: 0 while it is frozen, then it rises as in a warm-up."""
    if not params.freeze_backbone:
        return 1.0
    since = step - params.freeze_backbone
    return 0.0 if since < 0 else min(1.0, (since + 1) / (params.warmup_steps + 1))


def values(step: int, params: ResolvedParams) -> Values:
    """Return all scheduled values of a step."""
    optim, objective = params.optim, params.objective
    return Values(
        lr=learning_rate(step, optim),
        weight_decay=cosine(step, optim.steps, *optim.weight_decay),
        momentum=momentum(step, optim),
        teacher_temperature=linear(step, objective.teacher_temperature_steps - 1, *objective.teacher_temperature),
        backbone_lr=thawed(step, optim),
    )
