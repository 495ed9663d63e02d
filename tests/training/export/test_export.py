"""What is exported computes in other libraries what it computed in training, and comes back to the bit."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import shared.images.torchvision_cpu  # noqa: F401  before timm and transformers, which import torchvision

# isort: split
import numpy as np
import timm
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file

from shared.errors import RecipeError, WorkspaceError
from tests.training.vits import MODELS, SIZE, assert_same, images, invented_weights, write_run
from training.eval.crops import centre_crop
from training.eval.params import EvaluateParams
from training.export import export, for_onnx
from training.model.vit import normalised
from training.weights import Weights, read_weights

EXACT = {"atol": 1e-4, "rtol": 0}
WITHOUT_ONNX = ("timm", "transformers")
needs_onnxscript = pytest.mark.skipif(
    bool(for_onnx.missing()), reason="needs onnxscript: pip install 'dinoflow[export]'"
)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> None:
    transformers.utils.logging.disable_progress_bar()


def ours(weights: Weights, x_BCHW: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        seen = weights.backbone()(x_BCHW)
    return torch.cat([seen.cls[:, None], seen.patches], dim=1)


def exported(
    tmp_path: Path, kind: str, formats: tuple[str, ...] = WITHOUT_ONNX, **settings: Any
) -> tuple[Weights, Path]:
    weights = invented_weights(**MODELS[kind])
    facts = export(write_run(tmp_path, weights), 6, formats=formats, **settings)
    return weights, Path(facts["export"])


@pytest.mark.parametrize("kind", MODELS)
def test_timm_builds_it_from_stated_arguments_and_computes_the_same_at_every_size(kind: str, tmp_path: Path) -> None:
    weights, folder = exported(tmp_path, kind, ("timm",))
    config = json.loads((folder / "timm/config.json").read_text())
    stated = timm.create_model(config["architecture"], pretrained=False, num_classes=0, **config["model_args"])
    stated.load_state_dict(load_file(folder / "timm/model.safetensors"), strict=True)
    opened = timm.create_model(f"local-dir:{folder / 'timm'}", pretrained=True)
    for model in (stated.eval(), opened.eval()):
        for sides in ((SIZE, SIZE), (48, 48), (24, 24), (64, 40)):
            with torch.no_grad():
                tokens = model.forward_features(images(*sides))
            kept = [0, *range(model.num_prefix_tokens, tokens.shape[1])]
            torch.testing.assert_close(tokens[:, kept], ours(weights, images(*sides)), **EXACT)


def in_transformers(folder: Path) -> Any:
    names = {"dinov2": transformers.Dinov2Model, "dinov2_with_registers": transformers.Dinov2WithRegistersModel}
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    model, told = names[kind].from_pretrained(folder, output_loading_info=True)
    assert not any(told.values()), told
    return model.eval()


@pytest.mark.parametrize("kind", MODELS)
def test_transformers_opens_it_whole_and_computes_the_same(kind: str, tmp_path: Path) -> None:
    """At every size where there are registers; without, its class resamples positions in its own way: at one."""
    weights, folder = exported(tmp_path, kind, ("transformers",))
    model, prefix = in_transformers(folder / "transformers"), 1 + weights.model.registers
    for side in (SIZE, 48, 24):
        with torch.no_grad():
            tokens = model(images(side)).last_hidden_state
        kept = tokens[:, [0, *range(prefix, tokens.shape[1])]]
        if side == SIZE or weights.model.registers:
            torch.testing.assert_close(kept, ours(weights, images(side)), **EXACT)
        else:
            assert (kept - ours(weights, images(side))).abs().max() > 1e-3
    card = (folder / "README.md").read_text()
    assert ("resamples the positions without antialiasing" in card) == (not weights.model.registers)


def test_transformers_computes_the_same_at_another_size_that_was_asked_for(tmp_path: Path) -> None:
    weights, folder = exported(tmp_path, "mlp", ("transformers",), image_size=48)
    assert folder.name == "step-6-48px"
    with torch.no_grad():
        tokens = in_transformers(folder / "transformers")(images(48)).last_hidden_state
    torch.testing.assert_close(tokens, ours(weights, images(48)), **EXACT)


def test_hidden_patches_are_hidden_alike_in_transformers(tmp_path: Path) -> None:
    weights, folder = exported(tmp_path, "mlp", ("transformers",))
    mask_BN = torch.rand(2, 16, generator=torch.Generator().manual_seed(2)) < 0.4
    with torch.no_grad():
        tokens = in_transformers(folder / "transformers")(images(), bool_masked_pos=mask_BN).last_hidden_state
        seen = weights.backbone()(images(), mask_BN)
    torch.testing.assert_close(tokens[:, 1:], seen.patches, **EXACT)


@needs_onnxscript
@pytest.mark.parametrize("kind", ["no LayerScale", "swiglu, registers"])
def test_the_code_on_the_card_runs_and_computes_the_same_in_every_library(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, folder = exported(tmp_path, kind, ())
    ramps = [np.linspace(0, 255, 500)[None].repeat(375, 0), np.linspace(0, 255, 375)[:, None].repeat(500, 1)]
    image = Image.fromarray(np.stack([*ramps, ramps[0]], axis=2).astype(np.uint8))
    image.save(folder / "image.jpg", quality=95)
    crop = centre_crop(image, SIZE, EvaluateParams().resize)
    evaluated = normalised(torch.from_numpy(crop)[None])
    monkeypatch.chdir(folder)
    blocks = re.findall(r"### (\w+)\n\n```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert [name for name, _ in blocks] == ["timm", "transformers", "onnx"]
    for _, code in blocks:
        names: dict[str, Any] = {}
        exec(code, names)
        pixels, cls, patches = (torch.as_tensor(names[name]) for name in ("images", "cls", "patches"))
        expected = ours(weights, pixels)
        torch.testing.assert_close(cls, expected[:, 0], **EXACT)
        torch.testing.assert_close(patches, expected[:, 1:], **EXACT)
        assert (pixels - evaluated).abs().max() < 0.15  # the same crop, but for half a pixel
    run = names["session"].run
    for shape in ((1, 3, SIZE, SIZE), (5, 3, SIZE, SIZE), (2, 3, 48, 48), (1, 3, 24, 64)):
        pixels = torch.randn(shape)
        cls, patches = run(None, {"images": pixels.numpy()})
        np.testing.assert_allclose(np.concatenate([cls[:, None], patches], 1), ours(weights, pixels), **EXACT)
    data = (folder / "onnx/model.onnx").read_bytes()
    assert b"site-packages" not in data
    assert str(Path(__file__).parents[3]).encode() not in data


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("image_size", [SIZE, 48])
def test_what_was_exported_comes_back_to_the_bit(kind: str, image_size: int, tmp_path: Path) -> None:
    _, folder = exported(tmp_path, kind, image_size=image_size)
    sent = read_weights(str(tmp_path / "runs/run")).at(image_size)
    for part in ("timm", "transformers", "timm/model.safetensors", "."):
        assert_same(read_weights(str(folder / part)), sent)
    whole = read_weights(str(folder))
    assert sent.mask_token is not None
    assert whole.mask_token is not None
    assert torch.equal(whole.mask_token, sent.mask_token)
    assert whole.heads.keys() == sent.heads.keys()
    assert {name.partition(".")[0] for name in whole.heads} == {"head", "patch_head"}
    assert all(torch.equal(whole.heads[name], sent.heads[name]) for name in sent.heads)


def test_exported_again_it_has_the_same_bytes_and_other_formats_stay(tmp_path: Path) -> None:
    run = write_run(tmp_path, invented_weights())
    first = export(run, 6, formats=WITHOUT_ONNX)
    before = {path: path.read_bytes() for path in Path(first["export"]).rglob("*") if path.is_file()}
    again = export(run, 6, formats=("timm",))
    assert again == first
    assert {path: path.read_bytes() for path in Path(first["export"]).rglob("*") if path.is_file()} == before
    assert {oct(path.stat().st_mode & 0o777) for path in before} == {"0o644"}
    elsewhere = export(run, 6, to=tmp_path / "there", formats=("timm",))
    assert os.listdir(tmp_path / "there") != []
    assert elsewhere["formats"] == {"timm": str(tmp_path / "there/timm")}
    other = write_run(tmp_path, invented_weights(depth=1), name="other")
    with pytest.raises(WorkspaceError, match=r"needs a folder of its own, got .*there with another model in it"):
        export(other, 6, to=tmp_path / "there", formats=("transformers",))


def test_a_format_that_is_not_possible_is_left_out_and_named_and_refused_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(for_onnx, "find_spec", lambda name: None if name == "onnxscript" else name)
    run = write_run(tmp_path, invented_weights(mlp_ratio=2.5))
    facts = export(run, 6)
    assert list(facts["formats"]) == ["timm"]
    assert "needs a whole model.mlp_ratio, got 2.5. Leave it out" in facts["left_out"]["transformers"]
    assert "Python module onnxscript, which is not installed. Run `pip install" in facts["left_out"]["onnx"]
    assert sorted(os.listdir(facts["export"])) == ["README.md", "heads.safetensors", "timm"]
    with pytest.raises(RecipeError, match=r"whole model\.mlp_ratio"):
        export(run, 6, formats=("transformers",))
    with pytest.raises(RecipeError, match="multiple of its patch size 8, got 30"):
        export(run, 6, image_size=30)


def test_the_card_tells_recipe_data_scores_and_files(tmp_path: Path) -> None:
    run = write_run(tmp_path, invented_weights())
    bare = Path(export(run, 6, formats=("timm",))["card"]).read_text()
    assert "None yet: `dinoflow evaluate`, then export again." in bare
    dataset = tmp_path / "datasets/pets/v0001"
    dataset.mkdir(parents=True)
    counts = {
        "indexed": 1200,
        "kept": 900,
        "reasons": {"exact_duplicate": 300},
        "sources": {"web": {"indexed": 1200, "kept": 900}},
    }
    (dataset / "dataset.json").write_text(
        json.dumps({"counts": counts, "fingerprint": "abc", "lineage": {"index": "def"}})
    )
    (tmp_path / "evaluations/run").mkdir(parents=True)
    score = {"evaluation": "knn", "metric": "top1", "value": 0.4375, "protocol": {"k": 20, "temperature": 0.07}}
    for step, value in ((3, 0.25), (6, 0.4375)):
        told = {"run": "run", "step": step, "dataset": "pets v0001", "scores": [score | {"value": value}]}
        (tmp_path / f"evaluations/run/{step}.json").write_text(json.dumps(told))
    facts = export(run, 6, formats=("timm",))
    card = Path(facts["card"]).read_text()
    for line in (
        "| knn top1 | 0.4375 | pets v0001 | k 20, temperature 0.07 |",
        "| indexed, kept | 1,200, 900 |",
        "| dropped: exact duplicate | 300 |",
        "| source web | 900 of 1,200 |",
        "| images seen | 6,144, 1,024 a step |",
        "| passes over the data | 62.1 |",
        "| started from | chance |",
        ' "index": "def"',
        f"| timm/model.safetensors | `{facts['checksums']['timm/model.safetensors']}` |",
    ):
        assert line in card.splitlines() or line in card, line
    assert "0.25" not in card.partition("## Loading")[0].partition("## Scores")[2]


def test_an_export_without_a_backbone_that_can_be_read_says_so(tmp_path: Path) -> None:
    _, folder = exported(tmp_path, "mlp", ("timm",))
    (folder / "timm/model.safetensors").unlink()
    with pytest.raises(WorkspaceError, match=r"Weights are needed in .*timm/model.safetensors, which is not there"):
        read_weights(str(folder))
