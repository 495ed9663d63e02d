"""Weights under the names of facebookresearch/dinov2: its published backbones, and checkpoints of its training.

Its heads are left out: the gain of their prototypes trains, and ours is 1.
"""

import re
from dataclasses import replace

from training.weights.architecture import assembled
from training.weights.files import Tensors, unwrapped
from training.weights.weights import Weights, with_positions


def is_dinov2(tensors: Tensors) -> bool:
    """Tell by the names that timm does not use."""
    return any(re.search(r"(^|\.)(mask_token|register_tokens|mlp\.w12\.weight)$", name) for name in tensors)


def from_dinov2(title: str, tensors: Tensors, heads: int | None = None) -> Weights:
    """Return the weights under our names; blocks in chunks (blocks.CHUNK.NUMBER) come out of them.

    Positions are resampled as in dinov2's training; with registers as its configurations for those models say.
    """
    tensors = dict(unwrapped(tensors))
    mask_token = tensors.pop("mask_token", None)
    vit = {_renamed(name): tensor for name, tensor in tensors.items()}
    weights = assembled(title, vit, heads, mask_token)
    return weights if weights.model.registers else replace(weights, model=with_positions(weights.model, "offset"))


def _renamed(name: str) -> str:
    name = re.sub(r"^blocks\.\d+\.(\d+)\.", r"blocks.\1.", name)
    name = name.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2.")
    return {"register_tokens": "reg_token"}.get(name, name)
