"""Weights of other libraries compute in our model what they compute there."""

import json
from pathlib import Path
from typing import Any

import pytest

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import timm
import torch
from safetensors.torch import load_file, save_file

from shared.dataset_version import Published
from shared.errors import RecipeError, WorkspaceError
from shared.params import Compute
from tests.training.vits import MODELS, assert_same, images, in_dinov2_layout, invented_weights
from training.model.student_teacher import Student
from training.model.vit import ffn_columns
from training.params import PretrainParams
from training.stages import pretrain
from training.weights import Weights, read_weights
from training.weights.files import Tensors

REAL = Path(__file__).parents[4] / "shared/data/models/dinov2_vits14_finetuned_fp16.safetensors"
ARCHITECTURES = {"mlp": "vit_small_patch14_dinov2", "swiglu": "vit_giant_patch14_dinov2"}


def tokens(weights: Weights, x_BCHW: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        seen = weights.backbone()(x_BCHW)
    return torch.cat([seen.cls[:, None], seen.patches], dim=1)


def in_timm(weights: Weights, file: Path, **changes: Any) -> Any:
    """The model that timm itself makes of a file in dinov2's layout."""
    model = weights.model
    columns = weights.vit["blocks.0.mlp.fc1.weight"].shape[0]
    settings = {
        "patch_size": model.patch_size,
        "embed_dim": model.width,
        "depth": model.depth,
        "num_heads": model.heads,
        "mlp_ratio": columns / model.width,
        "init_values": model.layer_scale,
        "reg_tokens": model.registers,
        "no_embed_class": model.registers > 0,
        "img_size": weights.image_size,
        "dynamic_img_size": True,
        "num_classes": 0,
        "pretrained_cfg_overlay": {"file": str(file), "num_classes": 0},
    }
    return timm.create_model(ARCHITECTURES[model.ffn], pretrained=True, **settings | changes).eval()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("side", [32, 48])
def test_a_file_of_dinov2_computes_what_timm_makes_of_it_where_positions_are_antialiased(
    kind: str, side: int, tmp_path: Path
) -> None:
    weights = invented_weights(**MODELS[kind])
    save_file(in_dinov2_layout(weights), tmp_path / "dinov2.safetensors")
    read = read_weights(str(tmp_path / "dinov2.safetensors")).resampled_by("antialiased")
    theirs = in_timm(weights, tmp_path / "dinov2.safetensors")
    with torch.no_grad():
        expected = theirs.forward_features(images(side))
    kept = [0, *range(theirs.num_prefix_tokens, expected.shape[1])]
    torch.testing.assert_close(tokens(read, images(side)), expected[:, kept], atol=1e-4, rtol=0)
    assert read.mask_token is not None
    assert torch.equal(read.mask_token, invented_weights(**MODELS[kind]).mask_token)


def teacher_dump(tensors: Tensors) -> Any:
    named = {f"backbone.{name}": tensor for name, tensor in tensors.items()}
    return {"teacher": named | {"dino_head.mlp.0.bias": tensors["norm.bias"]}}


def training_state(tensors: Tensors) -> Any:
    zeros = {f"student.backbone.{name}": 0 * tensor for name, tensor in tensors.items()}
    return {"model": zeros | {f"teacher.backbone.{name}": tensor for name, tensor in tensors.items()}, "iteration": 3}


def in_chunks(tensors: Tensors) -> Any:
    chunks = {"blocks.0.": "blocks.0.0.", "blocks.1.": "blocks.1.1."}
    return {chunks.get(name[:9], name[:9]) + name[9:]: tensor for name, tensor in tensors.items()}


def in_a_wrapper(tensors: Tensors) -> Any:
    return {"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}


@pytest.mark.parametrize("wrap", [teacher_dump, training_state, in_chunks, in_a_wrapper])
def test_checkpoints_of_dinov2s_training_hold_the_same_teacher(wrap: Any, tmp_path: Path) -> None:
    weights = invented_weights()
    torch.save(wrap(in_dinov2_layout(weights)), tmp_path / "teacher.pth")
    assert_same(read_weights(str(tmp_path / "teacher.pth")), weights.resampled_by("offset"))


@pytest.mark.parametrize("change", [{}, {"registers": 3}])
def test_timms_older_positions_of_the_prefix_are_understood(change: dict[str, int], tmp_path: Path) -> None:
    """With registers timm can give CLS and registers positions of their own; without, none to CLS."""
    model = timm.create_model(
        "vit_small_patch14_dinov2", patch_size=8, embed_dim=128, depth=2, num_heads=2, img_size=32, num_classes=5,
        reg_tokens=change.get("registers", 0), no_embed_class=not change,
    ).eval()  # fmt: skip
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_file(model.state_dict(), tmp_path / "timm.safetensors")
    with torch.no_grad():
        expected = model.forward_features(images())
    kept = [0, *range(model.num_prefix_tokens, expected.shape[1])]
    seen = tokens(read_weights(str(tmp_path / "timm.safetensors")), images())
    torch.testing.assert_close(seen, expected[:, kept], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("ffn", "ratio"), [("mlp", 2.5), ("mlp", 3.74), ("swiglu", 2.5), ("swiglu", 3.9)])
def test_the_width_of_feed_forward_layers_is_told_by_their_shapes(ffn: str, ratio: float, tmp_path: Path) -> None:
    weights = invented_weights(ffn=ffn, mlp_ratio=ratio, depth=1)
    save_file(weights.vit, tmp_path / "vit.safetensors")
    read = read_weights(str(tmp_path / "vit.safetensors"))
    assert (read.model.ffn, ffn_columns(read.model)) == (ffn, ffn_columns(weights.model))
    assert torch.equal(tokens(read, images()), tokens(weights, images()))


def test_half_precision_becomes_single_and_nothing_else_changes(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in in_dinov2_layout(invented_weights()).items()}
    save_file(half, tmp_path / "half.safetensors")
    read = read_weights(str(tmp_path / "half.safetensors"))
    assert {tensor.dtype for tensor in read.vit.values()} == {torch.float32}
    assert torch.equal(read.vit["norm.weight"].half(), half["norm.weight"])


def test_another_image_size_computes_what_the_model_did_at_that_size() -> None:
    for change in ({}, {"registers": 3}, {"positions": "offset"}, {"registers": 3, "positions": "offset"}):
        weights = invented_weights(**change)
        other = weights.at(48)
        assert other.vit["pos_embed"].shape[1] == 36 + ("registers" not in change)
        assert torch.equal(tokens(other, images(48)), tokens(weights, images(48)))
        assert other.content != weights.content
        assert weights.at(32) is weights
    with pytest.raises(RecipeError, match=r"multiple of its patch size 8, got 50. The nearest is 48"):
        weights.at(50)


def test_a_run_gives_teacher_or_student_of_any_step_with_heads(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    params = PretrainParams.model_validate(tiny | {"objective": tiny["objective"] | {"separate_heads": True}})
    pretrain(dataset, params=params, compute=Compute(device="cpu", workers=1), workspace=tmp_path, run="run")
    run = tmp_path / "runs" / "run"
    for spec, step, part in (
        (f"{run}", 4, "teacher"),
        (f"{run}@2", 2, "teacher"),
        (f"{run}@2:student", 2, "student"),
        (f"{run}:student", 4, "student"),
        (f"{run}/checkpoints/step-00000002", 2, "teacher"),
        (f"{run}/checkpoints/step-00000002/state.pt", 2, "teacher"),
    ):
        read = read_weights(spec)
        student = Student(params)
        state = torch.load(run / f"checkpoints/step-{step:08d}/state.pt", weights_only=True)[part]
        student.load_state_dict(state)
        with torch.no_grad():
            assert torch.equal(tokens(read, images())[:, 0], student.backbone(images()).cls)
        assert read.heads.keys() == {name for name in state if name.startswith(("head.", "patch_head."))}
        assert all(torch.equal(tensor, state[name]) for name, tensor in read.heads.items())
        assert read.title == f"run step {step}" + (" student" if part == "student" else "")
        assert read.model.drop_path == type(read.model)().drop_path
    with pytest.raises(WorkspaceError, match=r"has no checkpoint of step 3. Choose one of: 2, 4"):
        read_weights(f"{run}@3")
    (run / "checkpoints").rename(run / "elsewhere")
    with pytest.raises(WorkspaceError, match="needs a run with a checkpoint"):
        read_weights(str(run))


def test_one_content_for_the_same_weights_from_anywhere_and_another_for_one_changed_number(tmp_path: Path) -> None:
    weights = invented_weights()
    torch.save(in_dinov2_layout(weights), tmp_path / "a.pth")
    save_file(dict(weights.vit), tmp_path / "b.safetensors")
    a, b = (read_weights(str(tmp_path / name)).resampled_by("antialiased") for name in ("a.pth", "b.safetensors"))
    assert a.content == b.content == weights.content
    tensors = load_file(tmp_path / "b.safetensors")
    tensors["blocks.1.mlp.fc2.bias"][7] += 1e-6
    save_file(tensors, tmp_path / "c.safetensors")
    assert read_weights(str(tmp_path / "c.safetensors")).content != a.content


def write(folder: Path, name: str, tensors: dict[str, torch.Tensor]) -> str:
    save_file(tensors, folder / name)
    return str(folder / name)


def test_what_is_not_understood_is_refused_by_name(tmp_path: Path) -> None:
    good = dict(invented_weights().vit)
    with pytest.raises(WorkspaceError, match=r"no file, folder, run or name of timm's. Give WORKSPACE/runs/RUN"):
        read_weights(str(tmp_path / "absent"))
    with pytest.raises(
        WorkspaceError, match=r"Weights are needed on a disk, got s3://bucket/runs/run. Copy its folder"
    ):
        read_weights("s3://bucket/runs/run")
    with pytest.raises(RecipeError, match=r"got no config\.json of a model"):
        read_weights(str(tmp_path))
    with pytest.raises(RecipeError, match=r"lacks patch_embed.proj.weight, cls_token.* and has conv.weight, which"):
        read_weights(write(tmp_path, "conv.safetensors", {"conv.weight": torch.ones(3)}))
    with pytest.raises(RecipeError, match=r"has blocks.0.attn.q_norm.weight, which nothing takes. Understood are ViTs"):
        read_weights(write(tmp_path, "norm.safetensors", good | {"blocks.0.attn.q_norm.weight": torch.ones(64)}))
    with pytest.raises(RecipeError, match=r"lacks blocks.1.attn.qkv.bias\. "):
        read_weights(
            write(tmp_path, "bias.safetensors", {k: v for k, v in good.items() if k != "blocks.1.attn.qkv.bias"})
        )
    oblong = good | {"pos_embed": torch.ones(1, 13, 128)}
    gray = good | {"patch_embed.proj.weight": torch.ones(128, 1, 8, 8)}
    with pytest.raises(RecipeError, match=r"square patches of 3 colours, got patch_embed.proj.weight \[128, 1, 8, 8\]"):
        read_weights(write(tmp_path, "gray.safetensors", gray))
    with pytest.raises(RecipeError, match="square grid of patches, got 13 of them"):
        read_weights(write(tmp_path, "oblong.safetensors", oblong))
    with pytest.raises(RecipeError, match=r"blocks that are all alike, got blocks.1.norm1.bias \[3\] for \[128\]"):
        read_weights(write(tmp_path, "alike.safetensors", good | {"blocks.1.norm1.bias": torch.ones(3)}))
    with pytest.raises(RecipeError, match="how many attention heads it has, as its width 96 is no multiple of 64"):
        read_weights(write(tmp_path, "heads.safetensors", dict(invented_weights(width=96, heads=3).vit)))
    (tmp_path / "text.pth").write_text("no tensors")
    with pytest.raises(RecipeError, match=r"needs to be a .safetensors file or a PyTorch checkpoint of tensors alone"):
        read_weights(str(tmp_path / "text.pth"))
    torch.save({"steps": 3}, tmp_path / "empty.pth")
    with pytest.raises(RecipeError, match="hold tensors by name, got none"):
        read_weights(str(tmp_path / "empty.pth"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(RecipeError, match="a model_type of dinov2 or dinov2_with_registers, got 'clip'"):
        read_weights(str(tmp_path))


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"model": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(RecipeError, match="checkpoint of tensors alone"):
        read_weights(str(tmp_path / "trap.pth"))
    assert not (tmp_path / "sprung").exists()


def test_names_of_timm_that_compute_otherwise_are_refused() -> None:
    with pytest.raises(RecipeError, match="needs to be timm's VisionTransformer, got ResNet"):
        read_weights("resnet18")
    with pytest.raises(RecipeError, match="needs GELU and norms with 1e-06, got QuickGELU"):
        read_weights("vit_base_patch32_clip_quickgelu_224")


def test_a_name_of_timm_gives_its_pretrained_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub is replaced by a file."""
    made = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32)
    save_file(made.state_dict(), tmp_path / "tiny.safetensors")
    honest = timm.create_model

    def offline(name: str, pretrained: bool = False, **settings: Any) -> Any:
        file = {"pretrained_cfg_overlay": {"file": str(tmp_path / "tiny.safetensors"), "num_classes": 0}}
        return honest(name, pretrained=pretrained, img_size=32, **settings, **(file if pretrained else {}))

    monkeypatch.setattr(timm, "create_model", offline)
    read = read_weights("vit_tiny_patch16_224")
    assert (read.title, read.model.heads, read.model.width, read.mean) == ("vit_tiny_patch16_224", 3, 192, (0.5,) * 3)
    assert torch.equal(read.vit["norm.weight"], made.norm.weight)


@pytest.mark.skipif(not REAL.is_file(), reason="needs shared/data/models beside the repository")
def test_real_dinov2_weights_see_what_they_see_in_timm() -> None:
    read = read_weights(str(REAL)).resampled_by("antialiased")
    assert (read.model.width, read.model.depth, read.model.heads, read.image_size) == (384, 12, 6, 518)
    theirs = in_timm(read, REAL, dynamic_img_size=True)
    with torch.no_grad():
        expected = theirs.forward_features(images(224)[:1])
    torch.testing.assert_close(tokens(read, images(224)[:1]), expected, atol=1e-4, rtol=0)
