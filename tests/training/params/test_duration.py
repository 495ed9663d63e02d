"""Lengths in steps, samples or epochs come to steps once the dataset is known; sizes by name come to numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from shared.dataset_version import Published
from shared.errors import RecipeError
from shared.params import Compute
from training.cost.peak_flops import Peak
from training.data.index import SampleIndex
from training.loop.run_facts import run_facts
from training.model.vit import Backbone
from training.params import ModelParams, OptimParams, PretrainParams
from training.params.resolved import resolved
from training.runs.run_folder import RunFolder
from training.stages import pretrain


def steps(given: Any) -> Any:
    return OptimParams(steps=given, warmup_steps=0).steps


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (500, 500),
        (1e5, 100_000),
        ("500", 500),
        ("1_000 steps", 1000),
        ("100 epochs", "100 epochs"),
        ("1 Epoch", "1 epochs"),
        ("0.5epochs", "0.5 epochs"),
        ("4.9e10 samples", "49000000000 samples"),
    ],
)
def test_a_length_has_one_spelling(given: Any, meant: Any) -> None:
    assert steps(given) == meant
    assert json.loads(OptimParams(steps=given, warmup_steps=0).model_dump_json())["steps"] == meant


@pytest.mark.parametrize("given", [0, "0 epochs", "0 samples"])
def test_a_run_of_no_length_is_refused_and_a_warm_up_of_none_is_not(given: Any) -> None:
    with pytest.raises(ValidationError, match="needs a length of a step or more"):
        steps(given)
    assert OptimParams(warmup_steps=given).warmup_steps == 0


@pytest.mark.parametrize("given", [-1, "3 days", "epochs", "", True, None, "1.2.3 epochs", [5]])
def test_what_is_no_length_is_refused_with_examples(given: Any) -> None:
    with pytest.raises(ValidationError, match='needs a number of steps, or text such as "100 epochs" or'):
        steps(given)
    with pytest.raises(ValidationError, match="whole number of steps"):
        steps(1.5)


def test_samples_and_epochs_are_divided_by_the_batch_and_rounded(tiny: dict[str, Any]) -> None:
    optim = tiny["optim"] | {"steps": "10 epochs", "warmup_steps": "70 samples", "freeze_prototypes": "1 samples"}
    objective = tiny["objective"] | {"teacher_temperature_steps": "1.5 epochs"}
    params = PretrainParams.model_validate(
        tiny | {"optim": optim, "objective": objective, "checkpoint_every": "1 epoch"}
    )
    in_steps = resolved(params, 54)
    assert (in_steps.optim.steps, in_steps.optim.warmup_steps, in_steps.optim.freeze_prototypes) == (68, 9, 1)
    assert (in_steps.objective.teacher_temperature_steps, in_steps.checkpoint_every) == (10, 7)
    assert resolved(in_steps, 1000) == in_steps
    facts = run_facts(in_steps, 54, 2, 2, Peak(1e12, "a test"))
    assert (facts["samples"], facts["epochs"]) == (68 * 8, pytest.approx(68 * 8 / 54))
    assert (facts["batch_per_process"], facts["images_at_once"]) == (4, 2)


def test_a_warm_up_that_outlasts_the_run_is_refused_once_both_are_known(tiny: dict[str, Any]) -> None:
    optim = tiny["optim"] | {"steps": "1 epoch", "warmup_steps": 10}
    params = PretrainParams.model_validate(tiny | {"optim": optim})
    assert resolved(params, 100).optim.steps == 12
    with pytest.raises(RecipeError, match=r"got 10 and 1 epochs: 10 and 5 steps of 8 samples, with 40 images"):
        resolved(params, 40)


def test_a_run_in_epochs_is_the_run_in_steps_and_tells_what_it_came_to(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    optim = tiny["optim"] | {"steps": "1 epoch", "warmup_steps": "8 samples"}
    params = PretrainParams.model_validate(tiny | {"optim": optim, "checkpoint_every": "16 samples"})
    images = len(SampleIndex(dataset, 0))

    def run() -> Any:
        return pretrain(dataset, params=params, compute=Compute(device="cpu", workers=1), workspace=tmp_path, run="run")

    first, folder = run(), RunFolder(tmp_path / "runs" / "run")
    assert first["steps"] == round(images / 8)
    assert folder.steps() == [*range(2, first["steps"], 2), first["steps"]][-3:]
    assert folder.summary() == {key: value for key, value in first.items() if key != "checkpoints"}
    config = folder.config() or {}
    assert config["params"]["optim"]["steps"] == "1 epochs"
    facts = config["resolved"]
    assert (facts["steps"], facts["warmup_steps"], facts["training_images"]) == (first["steps"], 1, images)
    assert {"peak_lr", "samples", "epochs", "batch_per_process", "accumulate", "run_flops"} <= facts.keys()
    out = capsys.readouterr().out
    assert f"length        {first['steps']} steps × 8 = " in out
    assert "parameters" in out and "momentum      0.992 → 1" in out  # noqa: PT018
    assert run() == first
    assert "step " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("size", "count"),
    [("vit-s", 22_056_576), ("vit-b", 86_580_480), ("vit-l", 304_368_640), ("vit-g", 1_136_480_768)],
)
def test_a_size_by_name_has_the_parameters_of_dinov2s_model_of_that_name(size: Any, count: int) -> None:
    with torch.device("meta"):
        backbone = Backbone(ModelParams(size=size), 518)
    assert sum(p.numel() for p in backbone.parameters()) == count


def test_the_450m_model_has_450_million_parameters_within_a_hundredth() -> None:
    with torch.device("meta"):
        backbone = Backbone(ModelParams(size="vit-450m"), 224)
    assert sum(p.numel() for p in backbone.parameters()) == pytest.approx(450e6, rel=0.01)


def test_a_size_is_a_name_for_numbers_and_given_numbers_override_it() -> None:
    named, spelled = ModelParams(size="vit-l"), ModelParams(width=1024, depth=24, heads=16)
    assert named == spelled
    assert named.identity() == spelled.identity()
    assert ModelParams(size="vit-l", depth=12, ffn="swiglu").depth == 12
    assert ModelParams.model_validate(named.model_dump()) == named
    titles = [ModelParams(**{"size": "vit-l"} | changes).title for changes in ({}, {"ffn": "swiglu"}, {"depth": 3})]
    assert titles == ["vit-l", "vit-l with swiglu", "vit of width 1024, depth 3"]
    with pytest.raises(ValidationError, match="'vit-s', 'vit-b', 'vit-l', 'vit-450m' or 'vit-g'"):
        ModelParams(size="vit-h")
