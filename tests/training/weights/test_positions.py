"""Positions for other image sizes: DINOv2's formula as a slow loop, and which weights are read by it."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from shared.dataset_version import Published
from shared.params import Compute
from tests.training.vits import in_dinov2_layout, invented_weights, write_run
from training.eval.evaluate import evaluate_models
from training.eval.params import EvaluateParams
from training.eval.sets import DatasetSet
from training.export import export
from training.model.vit import Backbone, resampled
from training.params import ModelParams, PretrainParams
from training.stages import pretrain
from training.weights import read_weights
from training.weights.run import from_run

GRID, PATCH, WIDTH = 37, 14, 5
"""DINOv2's models are made for 518 = 37 · 14 pixels."""


def cubic(distance: float) -> float:
    """The kernel of bicubic interpolation with a = -0.75, which torch uses without antialiasing."""
    x, a = abs(distance), -0.75
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def slow_offset(pos_HWD: np.ndarray, side: int) -> np.ndarray:
    """DINOv2's interpolation, one output at a time: the scale is (side + .1) / GRID, edges are repeated."""
    scale, last = (side + 0.1) / GRID, GRID - 1
    found = np.zeros((side, side, pos_HWD.shape[2]))
    for row in range(side):
        for column in range(side):
            y, x = (row + 0.5) / scale - 0.5, (column + 0.5) / scale - 0.5
            for top in range(math.floor(y) - 1, math.floor(y) + 3):
                for left in range(math.floor(x) - 1, math.floor(x) + 3):
                    weight = cubic(y - top) * cubic(x - left)
                    found[row, column] += weight * pos_HWD[min(max(top, 0), last), min(max(left, 0), last)]
    return found


def positions_of(side: int, rule: Any) -> torch.Tensor:
    drawn = 0.5 * torch.randn(1, 1 + GRID**2, WIDTH, generator=torch.Generator().manual_seed(0))
    return resampled(drawn, (side, side), 1, rule)


@pytest.mark.parametrize("pixels", [98, 224])
def test_the_offset_rule_is_dinov2s_formula(pixels: int) -> None:
    side = pixels // PATCH
    whole = positions_of(GRID, "offset")
    expected = slow_offset(whole[0, 1:].view(GRID, GRID, WIDTH).double().numpy(), side)
    ours = positions_of(side, "offset")
    assert torch.equal(ours[:, 0], whole[:, 0])  # the CLS token's stays
    np.testing.assert_allclose(ours[0, 1:].view(side, side, WIDTH).numpy(), expected, atol=1e-5, rtol=0)
    assert (ours - positions_of(side, "antialiased")).abs().max() > 0.01


def test_at_its_own_size_nothing_is_resampled() -> None:
    assert torch.equal(positions_of(GRID, "offset"), positions_of(GRID, "antialiased"))
    assert positions_of(518 // PATCH, "offset").shape == (1, 1 + GRID**2, WIDTH)


@pytest.mark.parametrize("registers", [0, 4])
def test_a_model_adds_the_resampled_positions_to_patches_of_any_shape(registers: int) -> None:
    model = ModelParams(patch_size=8, width=32, depth=1, heads=2, registers=registers, positions="offset")
    backbone = Backbone(model, 32)
    torch.nn.init.normal_(backbone.vit.pos_embed)
    patches = torch.randn(2, 3, 5, 32)
    own = 0 if registers else 1
    placed = backbone._placed(patches)
    expected = patches.flatten(1, 2) + resampled(backbone.vit.pos_embed, (3, 5), own, "offset")[:, own:]
    torch.testing.assert_close(placed[:, 1 + registers :], expected)
    backbone.positions = "antialiased"
    antialiased = backbone._placed(patches)
    torch.testing.assert_close(placed[:, : 1 + registers], antialiased[:, : 1 + registers])
    assert (placed - antialiased).abs().max() > 0.01


@pytest.mark.parametrize(("registers", "rule"), [(0, "offset"), (3, "antialiased")])
def test_dinov2s_weights_are_read_by_the_rule_they_were_trained_with(registers: int, rule: str, tmp_path: Path) -> None:
    weights = invented_weights(registers=registers)
    save_file(in_dinov2_layout(weights), tmp_path / "dinov2.safetensors")
    read = read_weights(str(tmp_path / "dinov2.safetensors"))
    assert read.positions == read.backbone().positions == rule
    save_file(dict(weights.vit), tmp_path / "timm.safetensors")
    assert read_weights(str(tmp_path / "timm.safetensors")).positions == "antialiased"
    assert read_weights(f"{tmp_path}/timm.safetensors").content == weights.content
    assert read.content != weights.content  # other features at other sizes


@pytest.mark.parametrize("rule", ["offset", "antialiased"])
def test_an_export_comes_back_with_its_rule_and_its_card_says_where_others_differ(rule: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path, invented_weights(positions=rule))
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"resolved": config["resolved"] | {"positions": rule}}))
    folder = Path(export(run, 6, formats=("timm", "transformers"))["export"])
    assert {read_weights(str(folder / part)).positions for part in ("timm", "transformers", ".")} == {rule}
    assert ("resamples the positions with antialiasing" in (folder / "README.md").read_text()) == (rule == "offset")


def test_a_run_keeps_the_rule_of_the_weights_it_started_from(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    shape = {"patch_size": 8, "width": 128, "depth": 2, "heads": 2, "drop_path": 0.0}
    save_file(in_dinov2_layout(invented_weights()), tmp_path / "dinov2.safetensors")
    start = {"start": str(tmp_path / "dinov2.safetensors"), "model": shape}
    params = PretrainParams.model_validate(tiny | start | {"optim": tiny["optim"] | {"steps": 2, "start_lr_limit": 0}})
    pretrain(dataset, params=params, compute=Compute(device="cpu", workers=1), workspace=tmp_path, run="run")
    assert from_run(tmp_path / "runs" / "run").positions == "offset"


def test_every_score_says_how_positions_were_resampled(dataset: Published, tmp_path: Path) -> None:
    save_file(in_dinov2_layout(invented_weights()), tmp_path / "dinov2.safetensors")

    def told(**changes: Any) -> dict[str, Any]:
        params = EvaluateParams(sets=(DatasetSet(),), evaluations=("effective_rank",), **changes)
        spec = {"model": str(tmp_path / "dinov2.safetensors")}
        rows = evaluate_models(spec, params, Compute(device="cpu", workers=1), dataset)["results"]
        return {row["model"]: row["protocol"].get("positions") for row in rows}

    assert told() == {"model": "as trained", "pixels": None}
    assert told(image_size=48)["model"] == "resampled with offset 0.1, not antialiased"
    assert told(image_size=48, positions="antialiased")["model"] == "resampled, antialiased"
