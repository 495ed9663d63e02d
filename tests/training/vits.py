"""Invented vision transformers: every number is random, so that nothing that is left out can hide."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from training.model.student_teacher import Student
from training.model.vit import Backbone
from training.params import ModelParams, PretrainParams
from training.runs.checkpoint import STATE
from training.runs.checkpoint_files import ABOUT
from training.runs.run_folder import RunFolder
from training.weights import Weights
from training.weights.files import Tensors

SIZE = 32
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "mlp, registers": {"registers": 3},
    "swiglu": {"ffn": "swiglu"},
    "swiglu, registers": {"ffn": "swiglu", "registers": 4},
    "no LayerScale": {"layer_scale": 0.0},
}


def invented_weights(**changes: Any) -> Weights:
    """Return a small ViT: two blocks of two heads, 4×4 patches of 8 pixels."""
    model = ModelParams(**{"patch_size": 8, "width": 128, "depth": 2, "heads": 2} | changes)
    generator = torch.Generator().manual_seed(0)
    vit = {
        name: torch.randn(tensor.shape, generator=generator) * (0.2 if tensor.ndim > 1 else 0.5)
        for name, tensor in Backbone(model, SIZE).vit.state_dict().items()
    }
    mask_token = torch.randn(model.width, generator=generator)
    return Weights("invented", model, SIZE, vit, mask_token)


def in_dinov2_layout(weights: Weights) -> Tensors:
    """Return the weights as facebookresearch/dinov2 would keep them, CLS with a position of its own."""
    assert weights.mask_token is not None
    tensors = dict(weights.vit) | {"mask_token": weights.mask_token[None]}
    if weights.model.registers:
        own = torch.full((1, 1, weights.model.width), 0.25)
        tensors["register_tokens"] = tensors.pop("reg_token")
        tensors["pos_embed"] = torch.cat([own, tensors["pos_embed"]], dim=1)
        tensors["cls_token"] = tensors["cls_token"] - own
    if weights.model.ffn == "swiglu":
        tensors = {n.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"): t for n, t in tensors.items()}
    return tensors


def write_run(workspace: Path, weights: Weights, step: int = 6, name: str = "run") -> Path:
    """Write a run whose teacher has these weights, with heads, as far as they are read."""
    params = PretrainParams.model_validate(
        {
            "model": weights.model.model_dump() | {"drop_path": 0.2, "layer_scale": weights.model.layer_scale * 2},
            "crops": {"global_size": weights.image_size, "local_size": 16},
            "objective": {"prototypes": 8, "head_hidden": 12, "bottleneck": 4, "separate_heads": True},
        }
    )
    teacher = Student(params)
    teacher.backbone.load_state_dict(weights.backbone().state_dict())
    student = Student(params)
    run = RunFolder(workspace / "runs" / name)
    folder = run.checkpoint(step)
    folder.mkdir(parents=True)
    torch.save({"teacher": teacher.state_dict(), "student": student.state_dict()}, folder / STATE)
    digest = hashlib.sha256((folder / STATE).read_bytes()).hexdigest()
    (folder / ABOUT).write_text(json.dumps({"step": step, "sha256": digest, "summary": None}))
    config = {"params": params.model_dump(mode="json"), "dataset": "pets v0001", "resolved": {"training_images": 99}}
    (run.path / "config.json").write_text(json.dumps(config))
    return run.path


def images(side: int = SIZE, other: int | None = None) -> torch.Tensor:
    """Return two normalised images."""
    return torch.randn(2, 3, side, other or side, generator=torch.Generator().manual_seed(1))


def assert_same(one: Weights, other: Weights) -> None:
    """Assert that two weights are the same to the bit, of one architecture."""
    assert one.model == other.model
    assert one.vit.keys() == other.vit.keys()
    assert all(torch.equal(one.vit[name], other.vit[name]) for name in one.vit)
    assert one.content == other.content
