"""What happens between the gradient and the next step: groups, freezing, clipping, loss scaling, the teacher."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from shared.dataset_version import Published
from training.data.index import SampleIndex
from training.data.loader import batches
from training.distributed import DistributedContext
from training.loop.optimizer import depth_of, parameter_groups
from training.loop.pretrain import initial_state
from training.loop.train_step import StepReport, take_step
from training.model.student_teacher import initial_student
from training.params import PretrainParams
from training.runs.checkpoint import State

ALONE = DistributedContext(torch.device("cpu"), 0, 1)


def changed(tiny: dict[str, Any], **optim: Any) -> PretrainParams:
    return PretrainParams.model_validate(tiny | {"optim": tiny["optim"] | optim})


def walk(state: State, params: PretrainParams, dataset: Published, steps: int) -> list[StepReport]:
    loader = batches(SampleIndex(dataset, params.seed), params, start=0, context=ALONE, workers=0)
    return [take_step(state, state.student, next(loader), params, ALONE, False) for _ in range(steps)]


def weights(state: State) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in state.student.state_dict().items()}


def test_each_block_has_two_groups_with_all_its_weights_and_all_else_has_five(
    tiny: dict[str, Any],
) -> None:
    params = PretrainParams.model_validate(tiny | {"model": tiny["model"] | {"depth": 5, "registers": 2}})
    student = initial_student(params)
    names = {id(p): name for name, p in student.named_parameters()}
    groups = {
        (round(group["lr_factor"], 9), group["decay_factor"]): {names[id(p)] for p in group["params"]}
        for group in parameter_groups(student, params.optim, depth=5)
    }
    assert len(groups) == 2 * 5 + 5
    matrices = ("attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight", "mlp.fc2.weight")
    others = (
        *("attn.qkv.bias", "attn.proj.bias", "mlp.fc1.bias", "mlp.fc2.bias", "ls1.gamma", "ls2.gamma"),
        *("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"),
    )
    for block in range(5):
        factor, prefix = round(0.9 ** (5 - block), 9), f"backbone.vit.blocks.{block}."
        assert groups[factor, 1.0] == {prefix + name for name in matrices}
        assert groups[factor, 0.0] == {prefix + name for name in others}
    before, patches = round(0.9**6, 9), round(0.9**6 * 0.2, 9)
    vit = "backbone.vit."
    assert groups[before, 1.0] == {vit + "cls_token", vit + "pos_embed", vit + "reg_token", "backbone.mask_token"}
    assert groups[patches, 1.0] == {vit + "patch_embed.proj.weight"}
    assert groups[patches, 0.0] == {vit + "patch_embed.proj.bias"}
    assert all(name.startswith("head.") for name in groups[1.0, 1.0])
    assert {vit + "norm.weight", vit + "norm.bias"} <= groups[1.0, 0.0]


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_the_depth_of_a_weight_survives_wrappers(prefix: str) -> None:
    assert depth_of(f"{prefix}backbone.vit.blocks.11._orig_mod.attn.qkv.weight", 12) == 12
    assert depth_of(f"{prefix}backbone.vit.patch_embed.proj.weight", 12) == 0
    assert depth_of(f"{prefix}backbone.mask_token", 12) == 0
    assert depth_of(f"{prefix}patch_head.prototypes.weight", 12) == 13


def test_frozen_prototypes_neither_move_nor_gather_moments(tiny: dict[str, Any], dataset: Published) -> None:
    params = changed(tiny, freeze_prototypes=2)
    state = initial_state(params, ALONE)
    prototypes = state.student.head.prototypes.weight
    before = prototypes.clone()
    walk(state, params, dataset, 2)
    assert torch.equal(prototypes, before)
    assert prototypes not in state.optimizer.state
    assert len(state.optimizer.state) == len(list(state.student.parameters())) - 1
    walk(state, params, dataset, 1)
    assert not torch.equal(prototypes, before)


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_the_gradient_is_clipped_as_a_whole(tiny: dict[str, Any], dataset: Published, clip: float) -> None:
    params = changed(tiny, clip=clip, freeze_prototypes=0, lr_rule="none", lr=0.5, warmup_steps=0)
    state = initial_state(params, ALONE)
    state.optimizer = torch.optim.SGD([{"params": state.student.parameters(), "lr_factor": 1, "decay_factor": 0}])
    before = weights(state)
    (report,) = walk(state, params, dataset, 1)
    moved = torch.stack([(x - before[name]).norm() for name, x in state.student.state_dict().items()]).norm()
    assert report.grad_norm > 0.01
    assert float(moved) == pytest.approx(0.5 * min(clip, report.grad_norm), rel=1e-3)


def test_a_scaled_loss_takes_the_same_steps_and_an_overflow_only_lowers_the_scale(
    tiny: dict[str, Any], dataset: Published
) -> None:
    params, found = changed(tiny), []
    for scale in (1.0, 1024.0):
        state = initial_state(params, ALONE)
        state.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        reports = walk(state, params, dataset, 3)
        found.append([*weights(state).values(), torch.tensor([report.grad_norm for report in reports])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    before, teacher = weights(state), copy.deepcopy(state.teacher.state_dict())
    (report,) = walk(state, params, dataset, 1)
    assert (report.taken, state.skipped, state.scaler.get_scale()) == (False, 1, 2.0**126)
    assert all(torch.equal(x, before[name]) for name, x in state.student.state_dict().items())
    assert all(torch.equal(x, teacher[name]) for name, x in state.teacher.state_dict().items())


def test_every_weight_has_a_gradient_though_no_patch_is_masked(tiny: dict[str, Any], dataset: Published) -> None:
    """DDP waits for each of them: one that is left out on a rank would stop all."""
    objective = tiny["objective"] | {"mask_share": 0.0, "separate_heads": True}
    params = PretrainParams.model_validate(
        tiny | {"objective": objective, "optim": tiny["optim"] | {"freeze_prototypes": 0}}
    )
    state, missing = initial_state(params, ALONE), []

    def look(optimizer: Any, *_: Any) -> None:
        missing.extend(name for name, p in state.student.named_parameters() if p.grad is None)

    state.optimizer.register_step_pre_hook(look)
    (report,) = walk(state, params, dataset, 1)
    assert report.taken
    assert report.losses["ibot"] == 0
    assert missing == []


@pytest.mark.parametrize("separate", [False, True])
def test_the_teacher_is_all_parameters_and_each_of_them_once(tiny: dict[str, Any], separate: bool) -> None:
    objective = tiny["objective"] | {"separate_heads": separate}
    student: nn.Module = initial_student(PretrainParams.model_validate(tiny | {"objective": objective}))
    assert not list(student.buffers())
    assert {name for name, _ in student.named_parameters()} == student.state_dict().keys()
