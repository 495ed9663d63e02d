import math
from collections.abc import Callable
from typing import Any

import pytest

from training.loop.schedules import peak_lr, values
from training.params import OptimParams, PretrainParams


def made(tiny: dict[str, Any], **changes: Any) -> PretrainParams:
    optim = {"steps": 100, "batch_size": 8, "lr": 1.0, "lr_rule": "none", "warmup_steps": 10, "lr_final": 0.1}
    optim |= {"weight_decay": [0.04, 0.4], "momentum": [0.9, 1.0]} | changes
    objective = tiny["objective"] | {"teacher_temperature": [0.04, 0.07], "teacher_temperature_steps": 30}
    return PretrainParams.model_validate(tiny | {"optim": optim, "objective": objective})


def dinov2_cosine(steps: int, warmup: int, start: float, peak: float, end: float) -> list[float]:
    """DINOv2's schedule, written as loops: both ends within the warm-up, a cosine that would end one step later."""
    rising = [start + (peak - start) * i / (warmup - 1) if warmup > 1 else start for i in range(warmup)]
    after = steps - warmup
    return rising + [end + 0.5 * (peak - end) * (1 + math.cos(math.pi * i / after)) for i in range(after)]


SCHEDULES: dict[str, Callable[[int], list[float]]] = {
    "lr": lambda warmup: dinov2_cosine(100, warmup, 0.0, 1.0, 0.1),
    "weight_decay": lambda _: dinov2_cosine(100, 0, 0.0, 0.04, 0.4),
    "momentum": lambda _: dinov2_cosine(100, 0, 0.0, 0.9, 1.0),
    "teacher_temperature": lambda _: dinov2_cosine(30, 30, 0.04, 0.07, 0.07) + [0.07] * 70,
}


@pytest.mark.parametrize("warmup", [0, 1, 2, 10])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_step_of_every_schedule_is_dinov2s(tiny: dict[str, Any], name: str, warmup: int) -> None:
    params = made(tiny, warmup_steps=warmup)
    ours = [getattr(values(step, params), name) for step in range(100)]
    assert ours == pytest.approx(SCHEDULES[name](warmup), rel=1e-12, abs=1e-15)


def test_a_run_that_is_stepped_beyond_its_end_keeps_the_last_values(tiny: dict[str, Any]) -> None:
    assert values(100, made(tiny)) == values(500, made(tiny)) == pytest.approx((0.1, 0.4, 1.0, 0.07, 1.0))


@pytest.mark.parametrize(("rule", "peak"), [("none", 1e-3), ("sqrt", 2e-3), ("linear", 4e-3)])
def test_the_peak_follows_from_the_batch_by_the_stated_rule(rule: Any, peak: float) -> None:
    optim = OptimParams(lr=1e-3, lr_rule=rule, lr_reference_batch=256, batch_size=1024)
    assert peak_lr(optim) == pytest.approx(peak)


@pytest.mark.parametrize(("rule", "early", "late"), [("cosine", 0.9062, 1.0), ("linear", 0.916, 0.999)])
def test_the_momentum_goes_along_a_cosine_or_a_line(tiny: dict[str, Any], rule: str, early: float, late: float) -> None:
    params = made(tiny)
    params = params.model_copy(update={"optim": params.optim.model_copy(update={"momentum_rule": rule})})
    momenta = [values(step, params).momentum for step in (0, 16, 99, 200)]
    assert momenta == pytest.approx([0.9, early, late, 1.0], abs=1e-4)
