from typing import Any

import pytest

from training.loop.schedules import peak_lr, values
from training.params import OptimParams, PretrainParams


def made(tiny: dict[str, Any]) -> PretrainParams:
    optim = {"steps": 100, "batch_size": 8, "lr": 1.0, "lr_rule": "none", "warmup_steps": 10, "lr_final": 0.1}
    optim |= {"weight_decay": [0.04, 0.4], "momentum": [0.9, 1.0]}
    objective = tiny["objective"] | {"teacher_temperature": [0.04, 0.07], "teacher_temperature_steps": 30}
    return PretrainParams.model_validate(tiny | {"optim": optim, "objective": objective})


def test_schedules_begin_and_end_where_the_recipe_says(tiny: dict[str, Any]) -> None:
    params = made(tiny)
    first, last = values(0, params), values(99, params)
    assert first == (pytest.approx(1 / 11), pytest.approx(0.04), pytest.approx(0.9), pytest.approx(0.04), 1.0)
    assert last == (pytest.approx(0.1), pytest.approx(0.4), pytest.approx(1.0), pytest.approx(0.07), 1.0)


def test_the_learning_rate_peaks_after_the_warm_up_and_only_falls_from_there(tiny: dict[str, Any]) -> None:
    rates = [values(step, made(tiny)).lr for step in range(100)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10] == max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_teacher_temperature_stays_where_its_warm_up_ends(tiny: dict[str, Any]) -> None:
    assert values(30, made(tiny)).teacher_temperature == values(77, made(tiny)).teacher_temperature == 0.07


@pytest.mark.parametrize(("rule", "peak"), [("none", 1e-3), ("sqrt", 2e-3), ("linear", 4e-3)])
def test_the_peak_follows_from_the_batch_by_the_stated_rule(rule: Any, peak: float) -> None:
    optim = OptimParams(lr=1e-3, lr_rule=rule, lr_reference_batch=256, batch_size=1024)
    assert peak_lr(optim) == pytest.approx(peak)


@pytest.mark.parametrize(("rule", "early"), [("cosine", 0.9063), ("linear", 0.9162)])
def test_the_momentum_goes_along_a_cosine_or_a_line(tiny: dict[str, Any], rule: str, early: float) -> None:
    params = made(tiny)
    params = params.model_copy(update={"optim": params.optim.model_copy(update={"momentum_rule": rule})})
    momenta = [values(step, params).momentum for step in (0, 16, 99, 200)]
    assert momenta == pytest.approx([0.9, early, 1.0, 1.0], abs=1e-4)
