"""Every shipped recipe says why it differs from DINOv2 where it does, and nowhere else."""

import json
from typing import Any

import pytest
import torch
import yaml

from flows.plan.deviations import UNSAID, deviations, reason_of
from flows.recipe.recipe import SHIPPED, load_recipe, shipped
from tests.command_line import dinoflow
from training.model.vit import Backbone
from training.params.published import IN_THE_CODE


def own(name: str, *settings: str) -> list[Any]:
    return deviations(load_recipe(name, settings=settings))[: -len(IN_THE_CODE)]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_has_a_reason_for_each_difference_and_no_reason_without_one(name: str) -> None:
    reasons, rows = load_recipe(name).deviations, own(name)
    assert [row.what for row in rows if row.why == UNSAID] == []
    assert {reason_of(row.what, reasons) for row in rows} == reasons.keys()
    assert "deviations:" in (SHIPPED / f"{name}.yaml").read_text()


def test_the_published_recipe_differs_in_the_blur_and_the_precision_alone() -> None:
    rows = {row.what: (row.dinov2, row.here) for row in own("dinov2-vitl14")}
    assert rows == {
        "augment.blur_global_first": ("0", "1"),
        "augment.blur_global_other": ("0.9", "0.1"),
        "optim.precision": ("fp16", "bf16"),
    }
    assert load_recipe("dinov2-vitl14").training.objective.koleo_group == 32


def test_what_the_seeds_text_leaves_open_is_vit_gs_and_marked_with_its_source() -> None:
    training = load_recipe("meta-dinov2-giant").training
    open_in_the_text = (training.model.ffn, training.crops.local_size, training.model.drop_path)
    assert open_in_the_text == ("swiglu", 98, 0.4)
    assert (training.model.layer_scale, training.augment.flip, training.augment.gray) == (1e-5, 0.5, 0.2)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in Backbone(training.model, 224).parameters())
    assert parameters == pytest.approx(451.5e6, abs=1e5)
    text = (SHIPPED / "meta-dinov2-giant.yaml").read_text()
    for key in ("ffn:", "local_size:", "drop_path:", "layer_scale:", "augment:", "koleo_weight:", "positions:"):
        (line,) = (line for line in text.partition("deviations:")[0].splitlines() if line.strip().startswith(key))
        assert "#" in line, f"{key} has no source"
    assert yaml.safe_load(text)["compared_with"] == "ViT-g/14"


def test_a_setting_without_a_reason_is_told_as_such() -> None:
    (row,) = (row for row in own("dinov2-vitl14", "training.optim.clip=1") if row.what == "optim.clip")
    assert (row.dinov2, row.here, row.why) == ("3", "1", UNSAID)


def test_the_plan_prints_the_table_settings_of_one_reason_on_one_line() -> None:
    arguments = ("plan", "dinov2-vitl14", "--images", "1.4e7", "--device", "a100", "--devices", "96")
    told = dinoflow(*arguments).stdout
    assert "augment.blur_global_first 0 → 1, augment.blur_global_other 0.9 → 0.1: chances of a blur as DINOv2" in told
    assert "gain of the prototypes trains → stays 1" in told
    rows = json.loads(dinoflow(*arguments, "--json").stdout)["deviations"]
    assert {row["what"] for row in rows} >= {"optim.precision", "clipping", "masked patches"}
