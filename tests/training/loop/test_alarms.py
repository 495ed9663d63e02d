"""Alarms: silent in health, one clear sentence for each way to fail; on invented series, and on runs that fail."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.dataset_version import Published
from shared.params import Compute
from training.loop.alarms import ADVICE, Alarms
from training.params import PretrainParams
from training.stages import pretrain

STEPS = 300
MOST = math.log(64)
Series = Callable[[int], dict[str, Any]]


def healthy(step: int) -> dict[str, Any]:
    """The course of a run that learns, with the noise of small batches."""
    noise = math.sin(17.3 * step)
    facts = {
        "step": step,
        "taken": True,
        "loss_dino": MOST * (0.85 + 0.2 * math.exp(-step / 60)) + 0.1 * noise,
        "prototype_entropy": 0.97 * MOST + 0.02 * noise,
        "target_entropy": 0.7 * MOST,
        "grad_norm": 2 + 15 * math.exp(-step / 20) + noise,
    }
    if step % 10 == 0:
        facts["teacher_effective_rank"] = 45 - 8 * math.exp(-(((step - 80) / 40) ** 2)) + step / 20 + noise
        facts |= {"knn_top1": 0.5 + 0.05 * math.sin(step / 50), "knn_queries": 100}
    return facts


def heard(tiny: dict[str, Any], series: Series, steps: int = STEPS) -> dict[str, tuple[int, str]]:
    alarms = Alarms(PretrainParams.model_validate(tiny))
    found = {}
    for step in range(1, steps + 1):
        for kind, line in alarms.add(series(step)).items():
            assert kind not in found, "each kind speaks once"
            found[kind] = (step, line)
    return found


def falling(name: str, low: float) -> Series:
    """All is well but for one column, which falls after step 120."""

    def series(step: int) -> dict[str, Any]:
        facts = healthy(step)
        return facts | ({name: low} if step > 120 and name in facts else {})

    return series


FAILING: dict[str, tuple[Series, str]] = {
    "rank": (falling("teacher_effective_rank", 6.0), r"CLS 6.0 in steps \d+ to \d+, 4\d.\d at its best · .*collapse"),
    "prototypes": (falling("prototype_entropy", 0.05), r"mean target .* where 2.08 is possible · .*same target"),
    "uniform": (falling("target_entropy", MOST), r"single targets .* 4.16 is uniform · .*lower teacher_temperature"),
    "loss": (
        lambda step: healthy(step) | {"loss_dino": 4.3 + 0.1 * math.sin(17.3 * step)},
        r"as in the first 10 steps",
    ),
    "gradient": (falling("grad_norm", 0.0), r"gradient norm at most 0.0e\+00 in steps 121 to 170"),
    "knn": (falling("knn_top1", 0.2), r"k-NN 20.0% or less of 100 queries in steps 130 to 140, 5\d.\d% at its best"),
    "skipped": (falling("taken", False), r"10 steps left out of steps 31 to 130 · .*near-duplicates"),
}


def test_a_healthy_course_sets_off_nothing(tiny: dict[str, Any]) -> None:
    assert heard(tiny, healthy) == {}


@pytest.mark.parametrize("kind", ADVICE)
def test_each_way_to_fail_is_told_once_with_steps_meaning_and_what_to_try(tiny: dict[str, Any], kind: str) -> None:
    series, text = FAILING[kind]
    found = heard(tiny, series)
    assert list(found) == [kind]
    step, line = found[kind]
    assert step <= 200
    assert re.search(text, line)
    assert " · usually " in line
    assert " · try " in line


@pytest.mark.parametrize("queries", [20, 256, 500])
def test_knn_that_only_seems_to_fall_is_told_in_a_twentieth_of_runs_at_most(tiny: dict[str, Any], queries: int) -> None:
    """Simulated: the true accuracy stays, and each of 12 looks draws its queries anew, the worst that can happen."""
    optim = tiny["optim"] | {"steps": 1000}
    params = PretrainParams.model_validate(tiny | {"optim": optim, "knn_every": 100})
    rng, runs = np.random.default_rng(0), 400
    for accuracy in (0.05, 0.2, 0.5):
        told = 0
        for looks in rng.binomial(queries, accuracy, (runs, 12)) / queries:
            alarms = Alarms(params)
            rows = [
                {"step": step, "knn_top1": float(value), "knn_queries": queries} for step, value in enumerate(looks)
            ]
            told += any(alarms._knn(row) for row in rows)
        assert told <= 0.05 * runs


def test_knn_of_few_queries_that_falls_to_nothing_is_told_at_once(tiny: dict[str, Any]) -> None:
    optim = tiny["optim"] | {"steps": 1000}
    alarms = Alarms(PretrainParams.model_validate(tiny | {"optim": optim, "knn_every": 100}))
    rows = [{"step": n, "knn_top1": value, "knn_queries": 20} for n, value in enumerate([0.45, 0.10, 0.0, 0.0])]
    assert [bool(alarms._knn(row)) for row in rows] == [False, False, False, True]


def test_a_loss_at_the_value_of_a_guess_is_told_after_it_has_fallen_there(tiny: dict[str, Any]) -> None:
    found = heard(tiny, lambda step: healthy(step) | {"loss_dino": MOST * (1 + math.exp(-step / 10))})
    assert "as for a guess among all prototypes" in found["loss"][1]


def test_a_resumed_run_remembers_what_it_has_said_and_what_its_best_was(tiny: dict[str, Any]) -> None:
    params = PretrainParams.model_validate(tiny)
    series, _ = FAILING["rank"]
    whole = Alarms(params)
    for step in range(1, 200):
        whole.add(series(step))
    again = Alarms(params)
    for step in range(1, 200):
        again.add(json.loads(json.dumps(series(step))))
    assert again.given == whole.given
    assert not any(again.add(series(step)) for step in range(200, STEPS))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge after fewer steps, so that runs can be short."""
    monkeypatch.setattr("training.loop.alarms.WINDOW", 20)
    monkeypatch.setattr("training.loop.alarms.PATIENCE", 25)


def course(tiny: dict[str, Any], dataset: Published, workspace: Path, **objective: Any) -> dict[str, Any]:
    changed = {
        "model": tiny["model"] | {"layer_scale": 1.0, "drop_path": 0.0},
        "objective": tiny["objective"] | {"koleo_weight": 0.0} | objective,
        "optim": tiny["optim"] | {"steps": 40, "lr": 1e-3, "lr_rule": "none", "momentum": [0.5, 0.5]},
        "checkpoint_every": 1000,
    }
    params = PretrainParams.model_validate(tiny | changed)
    compute = Compute(device="cpu", workers=1)
    summary: dict[str, Any] = pretrain(dataset, params=params, compute=compute, workspace=workspace, run="run")
    return summary


@pytest.mark.usefixtures("hasty")
def test_a_run_that_learns_stays_silent(tiny: dict[str, Any], dataset: Published, tmp_path: Path) -> None:
    assert course(tiny, dataset, tmp_path)["alarms"] == []


@pytest.mark.usefixtures("hasty")
def test_a_run_without_centring_collapses_and_says_so_in_its_line_its_metrics_and_its_summary(
    tiny: dict[str, Any],
    dataset: Published,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("training.loss.targets.CENTRE_MOMENTUM", 1.0)
    summary = course(tiny, dataset, tmp_path, targets="centre")
    rows = [json.loads(line) for line in (tmp_path / "runs" / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss_dino"] < 0.1  # the loss looks splendid
    told = {kind: line for row in rows for kind, line in row.get("alarm", {}).items()}
    assert "all images get the same target" in told["prototypes"]
    assert summary["alarms"] == list(told.values())
    assert f"alarm: {told['prototypes']}" in capsys.readouterr().out


@pytest.mark.usefixtures("hasty")
def test_targets_that_are_too_soft_stop_a_run_and_are_told(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    (told, *_) = course(tiny, dataset, tmp_path, teacher_temperature=[2.0, 2.0])["alarms"]
    assert "where 4.16 is uniform" in told
