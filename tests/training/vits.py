"""Invented vision transformers: every number is random, so that nothing that is left out can hide."""

from typing import Any

import torch

from training.model import Backbone
from training.params import ModelParams
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


def images(side: int = SIZE, other: int | None = None) -> torch.Tensor:
    """Return two normalised images."""
    return torch.randn(2, 3, side, other or side, generator=torch.Generator().manual_seed(1))


def assert_same(one: Weights, other: Weights) -> None:
    """Assert that two weights are the same to the bit, of one architecture."""
    assert one.model.model_copy(update={"layer_scale": other.model.layer_scale}) == other.model
    assert one.vit.keys() == other.vit.keys()
    assert all(torch.equal(one.vit[name], other.vit[name]) for name in one.vit)
    assert one.content == other.content
