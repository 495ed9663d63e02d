"""Weights of timm's VisionTransformer: a file, a folder as timm shares models, or a name with weights on the hub."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from shared.errors import RecipeError
from training.weights.architecture import UNDERSTOOD, assembled
from training.weights.files import Tensors, brief, read_tensors, unwrapped
from training.weights.weights import POSITIONS, Weights

CLASSIFIER = ("head.weight", "head.bias")
MODEL_FILE = "model.safetensors"
EPS = 1e-6


def from_timm(title: str, tensors: Tensors, heads: int | None = None, config: dict[str, Any] | None = None) -> Weights:
    """Return the weights under our names, without the classifier. The config is timm's, of colours."""
    vit = {name: tensor for name, tensor in unwrapped(tensors).items() if name not in CLASSIFIER}
    weights = assembled(title, vit, heads)
    colours: dict[str, Any] = {key: tuple(config[key]) for key in ("mean", "std") if config and key in config}
    return replace(weights, **colours)


def from_timm_folder(folder: Path) -> Weights:
    """Return what a folder with timm's config.json holds."""
    config = json.loads((folder / "config.json").read_text())
    heads = _heads(str(folder), config["architecture"], config.get("model_args", {}))
    published = "tag" in config.get("pretrained_cfg", {})  # an older export of ours has timm's architecture alone
    weights = from_timm(str(folder), read_tensors(folder / MODEL_FILE), heads, config.get("pretrained_cfg", config))
    return weights.resampled_by(config.get(POSITIONS, _trained_by(config["architecture"] if published else "")))


def from_timm_name(name: str, file: str = "") -> Weights:
    """Return the weights of a name, from a file or else the pretrained. Raises RecipeError where they do not come."""
    heads = _heads(name, name, {})
    if file:
        config = timm.get_pretrained_cfg(name)
        tensors = read_tensors(Path(file).expanduser())
        colours = {"mean": config.mean, "std": config.std} if config else None
        return from_timm(name, tensors, heads, colours).resampled_by(_trained_by(name))
    model = pretrained(name)
    return from_timm(name, model.state_dict(), heads, model.pretrained_cfg).resampled_by(_trained_by(name))


def _trained_by(name: str) -> Literal["auto", "offset"]:
    """Return how positions were resampled when the weights of a name were trained, which timm itself does not do."""
    return "offset" if "dinov2" in name and "reg" not in name else "auto"


def pretrained(name: str, instead: str = "a file of weights") -> Any:
    """Return timm's model of a name with its weights from the hub.

    Raises RecipeError where they do not come, which says what to give instead.
    """
    try:
        return timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise RecipeError(
            f"timm needs the weights of {name}, and they cannot be had: {type(error).__name__}: {brief(error)}. "
            f"Connect to huggingface.co, or give {instead} instead."
        ) from None


def _heads(title: str, name: str, arguments: dict[str, Any]) -> int:
    """Return the attention heads. Raises RecipeError unless the model computes what ours does with its weights."""
    with torch.device("meta"):
        model: Any = timm.create_model(name, pretrained=False, **arguments | {"num_classes": 0})
    if type(model) is not VisionTransformer:
        raise RecipeError(f"{title} needs to be timm's VisionTransformer, got {type(model).__name__}. {UNDERSTOOD}.")
    block: Any = model.blocks[0]
    wanted, given = nn.SiLU if hasattr(block.mlp, "gate_last") else nn.GELU, block.mlp.act
    exact = isinstance(given, wanted) and getattr(given, "approximate", "none") == "none"
    if not exact or getattr(model.norm, "eps", EPS) != EPS:
        raise RecipeError(
            f"{title} needs {wanted.__name__} and norms with {EPS}, got {given} and {model.norm}. {UNDERSTOOD}."
        )
    heads: int = block.attn.num_heads
    return heads
