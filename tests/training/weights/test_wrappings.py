"""Weights are found whatever a training program wrapped around them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.vits import assert_same, in_dinov2_layout, invented_weights
from training.weights import read_weights
from training.weights.files import Tensors

STACKS = (
    "module.",
    "_orig_mod.",
    "backbone.",
    "_fsdp_wrapped_module.",
    "_orig_mod.module.backbone.",
    "module._orig_mod.teacher.backbone._fsdp_wrapped_module.",
    "model.student.backbone.",
)


def inside(tensors: Tensors) -> Tensors:
    """FSDP and torch.compile wrap blocks one by one, too."""
    names = {
        "blocks.0.": "blocks.0._fsdp_wrapped_module._checkpoint_wrapped_module.",
        "blocks.1.": "blocks._orig_mod.1.",
    }
    return {names.get(name[:9], name[:9]) + name[9:]: tensor for name, tensor in tensors.items()}


def beside_counters(tensors: Tensors) -> Any:
    return {"epoch": torch.tensor(3), "model": {"teacher": {"state_dict": tensors}, "student": {}}}


def of_a_student_alone(tensors: Tensors) -> Any:
    return {"student": {f"module.{name}": tensor for name, tensor in tensors.items()}, "iteration": 7}


def teacher_beside_a_student(tensors: Tensors) -> Any:
    students = {f"module.student._orig_mod.{name}": 0 * tensor for name, tensor in tensors.items()}
    return students | {f"module.teacher._orig_mod.backbone.{name}": tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("layout", ["dinov2", "timm"])
def test_any_stack_of_prefixes_comes_off(stack: str, layout: str, tmp_path: Path) -> None:
    weights = invented_weights()
    tensors = in_dinov2_layout(weights) if layout == "dinov2" else weights.vit
    torch.save({stack + name: tensor for name, tensor in tensors.items()}, tmp_path / "wrapped.pth")
    read = read_weights(str(tmp_path / "wrapped.pth"))
    assert_same(read, weights.resampled_by("offset") if layout == "dinov2" else weights)
    assert (read.mask_token is None) == (layout == "timm")


@pytest.mark.parametrize("wrap", [inside, beside_counters, of_a_student_alone, teacher_beside_a_student])
def test_wrapped_blocks_and_nested_dictionaries_hold_the_same_teacher(wrap: Any, tmp_path: Path) -> None:
    weights = invented_weights()
    torch.save(wrap(in_dinov2_layout(weights)), tmp_path / "wrapped.pth")
    assert_same(read_weights(str(tmp_path / "wrapped.pth")), weights.resampled_by("offset"))
