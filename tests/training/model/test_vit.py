from typing import Any

import pytest
import torch
from pydantic import ValidationError

from training.loop.optimizer import adamw, parameter_groups
from training.model.student_teacher import initial_student, make_ema_teacher, update_ema
from training.model.vit import Backbone, normalised
from training.params import ModelParams, PretrainParams


def test_the_teacher_starts_as_an_exact_copy_heads_included_and_never_trains(params: PretrainParams) -> None:
    student = initial_student(params)
    teacher = make_ema_teacher(student)
    assert teacher.state_dict().keys() == student.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), student.parameters(), strict=True))
    assert all(a is not b for a, b in zip(teacher.parameters(), student.parameters(), strict=True))
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not teacher.training


def test_the_ema_update_of_the_teacher_is_the_stated_formula(params: PretrainParams) -> None:
    student = initial_student(params)
    teacher = make_ema_teacher(student)
    before = {name: p.clone() for name, p in teacher.named_parameters()}
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn_like(parameter))
    update_ema(teacher, student, 0.9)
    for name, parameter in teacher.named_parameters():
        torch.testing.assert_close(parameter, 0.9 * before[name] + 0.1 * dict(student.named_parameters())[name])
    kept = {name: p.clone() for name, p in teacher.named_parameters()}
    update_ema(teacher, student, 1.0)
    assert all(torch.equal(p, kept[name]) for name, p in teacher.named_parameters())


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_stream_alone(params: PretrainParams) -> None:
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)
    one, other = initial_student(params), initial_student(params)
    assert torch.equal(torch.rand(1), first)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("registers", [0, 3])
def test_crops_of_any_size_give_one_token_a_patch(registers: int) -> None:
    params = ModelParams(patch_size=8, width=32, depth=1, heads=2, registers=registers)
    backbone = Backbone(params, image_size=32)
    for side in (16, 32, 48):
        tokens = backbone(torch.randn(2, 3, side, side))
        assert tokens.cls.shape == (2, 32)
        assert tokens.patches.shape == (2, (side // 8) ** 2, 32)


def test_a_hidden_patch_cannot_be_seen(params: PretrainParams) -> None:
    backbone = Backbone(params.model, 32).eval()
    mask = torch.zeros(1, 16, dtype=torch.bool)
    mask[0, 0] = True
    image = torch.randn(1, 3, 32, 32)
    other = image.clone()
    other[:, :, :8, :8] = 9
    assert torch.equal(backbone(image, mask).cls, backbone(other, mask).cls)
    assert not torch.equal(backbone(image).cls, backbone(other).cls)


def test_recomputed_activations_give_the_same_gradient(tiny: dict[str, Any]) -> None:
    gradients = []
    for recompute in (False, True):
        model = tiny["model"] | {"activation_checkpointing": recompute, "drop_path": 0}
        student = initial_student(PretrainParams.model_validate(tiny | {"model": model}))
        student.backbone(torch.ones(2, 3, 32, 32)).cls.sum().backward()
        gradients.append(student.backbone.vit.pos_embed.grad)
    torch.testing.assert_close(*gradients)


def test_prototypes_start_as_long_as_dinov2s_and_the_rest_of_a_head_small(params: PretrainParams) -> None:
    """DINOv2 leaves its last layer as torch makes it: uniform, each row of length √(1/3) whatever the bottleneck."""
    objective = params.objective.model_copy(update={"prototypes": 2000, "bottleneck": 64})
    head = initial_student(params.model_copy(update={"objective": objective})).head
    assert float(head.prototypes.weight.detach().norm(dim=1).mean()) == pytest.approx(3**-0.5, rel=0.01)
    assert float(head.prototypes.weight.detach().abs().max()) <= 64**-0.5
    assert float(head.mlp[2].weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert not head.mlp[2].bias.any()


def test_separate_heads_are_two_and_a_tied_head_is_one(tiny: dict[str, Any]) -> None:
    for separate, count in ((False, 1), (True, 2)):
        objective = tiny["objective"] | {"separate_heads": separate}
        student = initial_student(PretrainParams.model_validate(tiny | {"objective": objective}))
        outputs = student([torch.randn(4, 3, 32, 32)], None, torch.tensor([0, 17]))
        assert len(student.heads()) == count
        assert (outputs.crops.shape, outputs.patches.shape) == ((4, 16), (2, 16))
        torch.testing.assert_close(outputs.crops.norm(dim=1), torch.ones(4))


def test_pixels_are_normalised_by_imagenet(params: PretrainParams) -> None:
    white = normalised(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)).flatten()
    torch.testing.assert_close(white, torch.tensor([2.2489, 2.4286, 2.6400]), atol=1e-3, rtol=0)


def test_every_parameter_is_in_one_group_and_matrices_and_tokens_decay(params: PretrainParams) -> None:
    student = initial_student(params)
    groups = parameter_groups(student, params.optim, params.model.depth)
    assert sum(len(g["params"]) for g in groups) == len(list(student.parameters()))
    names = {id(p): name for name, p in student.named_parameters()}
    undecayed = {names[id(p)] for g in groups if not g["decay_factor"] for p in g["params"]}
    assert not {"backbone.mask_token", "backbone.vit.cls_token", "backbone.vit.pos_embed"} & undecayed
    assert {"backbone.vit.blocks.0.ls1.gamma", "backbone.vit.norm.weight", "head.mlp.0.bias"} <= undecayed
    assert not any(name.endswith("qkv.weight") or "prototypes" in name for name in undecayed)


def test_deeper_layers_learn_faster_and_the_patch_embedding_slowest(params: PretrainParams) -> None:
    student = initial_student(params)
    factor = {
        id(p): group["lr_factor"]
        for group in adamw(student, params.optim, params.model.depth).param_groups
        for p in group["params"]
    }
    of = {name: factor[id(p)] for name, p in student.named_parameters()}
    assert of["head.mlp.0.weight"] == 1
    assert of["backbone.vit.blocks.1.attn.qkv.weight"] == pytest.approx(0.9)
    assert of["backbone.vit.blocks.0.attn.qkv.weight"] == pytest.approx(0.9**2)
    assert of["backbone.vit.pos_embed"] == pytest.approx(0.9**3)
    assert of["backbone.vit.patch_embed.proj.weight"] == pytest.approx(0.9**3 * 0.2)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"crops": {"global_size": 33}},
            "global_size must be a multiple of model.patch_size, got 33 and 14.*28 and 42",
        ),
        ({"crops": {"local_size": 8}}, "local_size must be a multiple of model.patch_size, got 8 and 14"),
        ({"model": {"width": 100, "heads": 3}}, "multiple of model.heads, got 100 and 3"),
        ({"optim": {"batch_size": 100}}, "multiple of objective.koleo_group, got 100 and 64"),
        ({"optim": {"steps": 10}}, "warmup_steps must be below optim.steps, got 12500 and 10"),
        ({"crops": {"global_scale": [0.5, 0.2]}}, "global_scale must ascend"),
        ({"objective": {"mask_ratio": [0.5, 0.2]}}, "mask_ratio must ascend"),
    ],
)
def test_an_impossible_combination_is_refused_by_key(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        PretrainParams.model_validate(change)
