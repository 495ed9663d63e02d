"""A run that starts from weights sees at first what they saw, and is another run when they change."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from shared.dataset_version import Published
from shared.errors import RecipeError
from shared.launch.launch import run_name
from shared.params import Compute
from tests.training.vits import images, invented_weights
from training.distributed import DistributedContext
from training.loop.pretrain import initial_state
from training.loop.schedules import values
from training.params import PretrainParams
from training.params.resolved import resolved
from training.runs import checkpoint
from training.runs.run_folder import RunFolder
from training.stages import pretrain
from training.weights import Weights, read_weights
from training.weights.content import content

ON_CPU = Compute(device="cpu", workers=1)
ALONE = DistributedContext(torch.device("cpu"), 0, 1)
VIT = {"patch_size": 8, "width": 128, "depth": 2, "heads": 2, "layer_scale": 0.1}


def with_model(tiny: dict[str, Any], **changes: Any) -> PretrainParams:
    return PretrainParams.model_validate(tiny | {"model": VIT | changes, "optim": gently(tiny)})


def gently(tiny: dict[str, Any]) -> dict[str, Any]:
    return tiny["optim"] | {"lr": 1e-3}


def first_teacher(params: PretrainParams, weights: Weights) -> Any:
    return initial_state(params, ALONE, weights).teacher


def test_a_run_starts_from_another_ones_teacher_with_its_heads(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = PretrainParams.model_validate(tiny)
    pretrain(dataset, params=one, compute=ON_CPU, workspace=tmp_path, run="one")
    start = str(tmp_path / "runs" / "one")
    changed = tiny | {"start": start, "seed": 1, "objective": tiny["objective"] | {"separate_heads": True}}
    origin = checkpoint.read(RunFolder(Path(start)), 4)["teacher"]
    for other in (tiny | {"start": start, "seed": 1}, changed):
        params = PretrainParams.model_validate(other)
        teacher = first_teacher(params, read_weights(start)).state_dict()
        assert all(torch.equal(teacher[name], tensor) for name, tensor in origin.items())
    assert "starts from   one step 4; fresh: patch head" in capsys.readouterr().out
    params = PretrainParams.model_validate(tiny | {"start": start, "seed": 1})
    pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="two")
    assert "starts from   one step 4\n" in capsys.readouterr().out


@pytest.mark.parametrize("registers", [0, 3])
def test_a_vit_of_timms_at_another_resolution_and_other_colours_is_seen_through_the_same(
    tiny: dict[str, Any], registers: int
) -> None:
    """The reference is timm's own model, which resamples its position embedding at each forward pass."""
    torch.manual_seed(0)
    origin = invented_weights(registers=registers)
    model: Any = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=128, depth=2, num_heads=2, init_values=0.1, reg_tokens=registers,
        no_embed_class=registers > 0, num_classes=0, dynamic_img_size=True,
    )  # fmt: skip
    model.load_state_dict(origin.vit)
    theirs = replace(origin, mean=(0.5, 0.5, 0.4), std=(0.5, 0.6, 0.5), mask_token=None)
    params = PretrainParams.model_validate(
        tiny
        | {"model": VIT | {"registers": registers}, "crops": tiny["crops"] | {"global_size": 48}, "optim": gently(tiny)}
    )
    teacher = first_teacher(params, theirs)
    assert teacher.backbone.vit.pos_embed.shape[1] == 36 + (not registers)
    pixels = images(48).sigmoid()

    def normalised(mean: Any, std: Any) -> torch.Tensor:
        return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    with torch.no_grad():
        ours = teacher.backbone(normalised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        expected = model.eval().forward_features(normalised(theirs.mean, theirs.std))
    torch.testing.assert_close(ours.cls, expected[:, 0], atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(ours.patches, expected[:, 1 + registers :], atol=2e-4, rtol=1e-4)


def test_registers_that_the_origin_lacks_are_fresh_and_cls_keeps_its_position(tiny: dict[str, Any]) -> None:
    origin = invented_weights()
    vit = first_teacher(with_model(tiny, registers=2), origin).backbone.vit
    assert vit.reg_token.shape == (1, 2, 128)
    torch.testing.assert_close(vit.cls_token, origin.vit["cls_token"] + origin.vit["pos_embed"][:, :1])
    torch.testing.assert_close(vit.pos_embed, origin.vit["pos_embed"][:, 1:])


@pytest.mark.parametrize(
    ("ours", "complaint"),
    [
        (
            {"width": 64, "depth": 3},
            r"width 64 here and 128 there, model.depth 3 here .*width=128, .*depth=2",
        ),
        ({"heads": 4}, r"model.heads 4 here and 2 there. Set training.model.heads=2"),
        ({"patch_size": 16}, r"Set training.model.patch_size=8"),
        ({"ffn": "swiglu"}, r"Set training.model.ffn=mlp"),
        ({"mlp_ratio": 2.0}, r"Set training.model.mlp_ratio=4.0"),
        ({"layer_scale": 0.0}, r"Set training.model.layer_scale=1e-05"),
    ],
)
def test_another_architecture_is_refused_with_what_to_set(
    tiny: dict[str, Any], ours: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RecipeError, match=r"training.start needs the architecture of invented.*" + complaint):
        first_teacher(with_model(tiny, **ours), invented_weights())


def test_fewer_registers_than_the_origin_has_are_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"model.registers 0 here and 3 there"):
        first_teacher(with_model(tiny), invented_weights(registers=3))


def test_weights_name_the_run_by_what_they_are_not_where_they_lie(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    def name(path: Path) -> str:
        params = PretrainParams.model_validate(tiny | {"model": VIT, "start": str(path), "optim": gently(tiny)})
        return run_name(pretrain, params, dataset)

    file, moved, weights = tmp_path / "a.pth", tmp_path / "b.pth", invented_weights().vit
    torch.save(weights, file)
    torch.save(weights, moved)
    assert name(file) == name(moved) != run_name(pretrain, with_model(tiny), dataset)
    params = PretrainParams.model_validate(tiny | {"model": VIT, "start": str(file), "optim": gently(tiny)})
    pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")
    assert json.loads((tmp_path / "runs/run/config.json").read_text())["start"] == content(str(file))
    first = name(file)
    torch.save(weights | {"cls_token": weights["cls_token"] + 1}, file)
    assert name(file) != first
    with pytest.raises(RecipeError, match="Run run needs what it was started with, got other values: start was"):
        pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")


def test_a_rate_that_would_undo_what_weights_know_is_refused_with_one_that_would_not(tiny: dict[str, Any]) -> None:
    def at(lr: float, limit: float = 2e-4) -> PretrainParams:
        optim = tiny["optim"] | {"lr": lr, "lr_rule": "none", "start_lr_limit": limit}
        return PretrainParams.model_validate(tiny | {"model": VIT, "optim": optim})

    published = invented_weights()
    with pytest.raises(RecipeError, match=r"rate of 0.0002 or less \(that published.*got 0.0015.*optim.lr=0.0002,"):
        first_teacher(at(1.5e-3), published)
    first_teacher(at(2e-4), published)
    first_teacher(at(1.5e-3, limit=0), published)
    own = replace(published, peak_lr=1.5e-3)
    first_teacher(at(1.5e-3), own)
    with pytest.raises(RecipeError, match=r"or less \(they were trained with 0.0015\), got 0.003"):
        first_teacher(at(3e-3), own)


def test_the_backbone_waits_until_the_heads_have_learned_and_then_warms_up(tiny: dict[str, Any]) -> None:
    optim = gently(tiny) | {"steps": 12, "warmup_steps": 3, "freeze_backbone": 4}
    params = resolved(PretrainParams.model_validate(tiny | {"optim": optim}), 60)
    assert [values(step, params).backbone_lr for step in range(9)] == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert values(0, resolved(PretrainParams.model_validate(tiny), 60)).backbone_lr == 1


def test_while_the_backbone_is_frozen_only_heads_move(tiny: dict[str, Any], dataset: Published, tmp_path: Path) -> None:
    optim = gently(tiny) | {"freeze_backbone": 2, "freeze_prototypes": 0}
    params = PretrainParams.model_validate(tiny | {"optim": optim})
    pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")
    untrained = initial_state(params, ALONE).student.state_dict()
    frozen, thawed = (checkpoint.read(RunFolder(tmp_path / "runs" / "run"), step)["student"] for step in (2, 4))
    same = {name for name in untrained if torch.equal(frozen[name], untrained[name])}
    assert same == {name for name in untrained if name.startswith("backbone.")}
    assert not torch.equal(thawed["backbone.vit.norm.weight"], untrained["backbone.vit.norm.weight"])
