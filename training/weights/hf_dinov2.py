"""A folder of transformers' Dinov2Model or Dinov2WithRegistersModel, read without that library."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from shared.errors import RecipeError
from training.weights.architecture import UNDERSTOOD
from training.weights.dinov2 import from_dinov2
from training.weights.files import Tensors, read_tensors, within
from training.weights.weights import POSITIONS, Weights

KINDS = ("dinov2", "dinov2_with_registers")
PREFIXES = ("dinov2_with_registers.", "dinov2.")
CLASSIFIER = "classifier."
MODEL_FILE = "model.safetensors"
EPS = 1e-6
PLAIN = {
    "embeddings.cls_token": "cls_token",
    "embeddings.mask_token": "mask_token",
    "embeddings.register_tokens": "register_tokens",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
}
IN_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "mlp.weights_in": "mlp.w12",
    "mlp.weights_out": "mlp.w3",
}
"""Names in files, and dinov2's; after `encoder.layer.NUMBER.` and `blocks.NUMBER.`."""
QKV = tuple(f"attention.attention.{part}" for part in ("query", "key", "value"))
"""What dinov2 keeps in one matrix, attn.qkv, top to bottom."""
IN_MEMORY = {"attention.o_proj": "attn.proj", "mlp.down_proj": "mlp.w3"}
"""Names since version 5, which translates them when it saves; a state_dict that is saved by hand has them."""
JOINED = (
    ("attn.qkv", QKV),
    ("attn.qkv", ("attention.q_proj", "attention.k_proj", "attention.v_proj")),
    ("mlp.w12", ("mlp.gate_proj", "mlp.up_proj")),
)


def from_transformers_folder(folder: Path) -> Weights:
    """Return what a folder with transformers' config.json holds. Raises RecipeError for other kinds of model."""
    config = json.loads((folder / "config.json").read_text())
    _check(str(folder), config)
    given = {k: v for k, v in within(_tensors(folder), PREFIXES).items() if not k.startswith(CLASSIFIER)}
    named = {_renamed(name): tensor for name, tensor in given.items()}
    tensors = _without_idle_scales(_joined(named))
    weights = replace(from_dinov2(str(folder), tensors, config["num_attention_heads"]), **_colours(folder))
    antialiases = config["model_type"] != "dinov2"  # as that library does it, be there registers or not
    return weights.resampled_by(config.get(POSITIONS, "antialiased" if antialiases else "auto"))


def _check(title: str, config: dict[str, Any]) -> None:
    if config.get("model_type") not in KINDS:
        raise RecipeError(f"{title} needs a model_type of {' or '.join(KINDS)}, got {config.get('model_type')!r}.")
    for key, ours in (("layer_norm_eps", EPS), ("hidden_act", "gelu")):
        if config.get(key, ours) != ours and not (key == "hidden_act" and config.get("use_swiglu_ffn")):
            raise RecipeError(f"{title} needs {key} to be {ours}, got {config[key]!r}. {UNDERSTOOD}.")


def _tensors(folder: Path) -> Tensors:
    """Return the tensors of one file, or of the many that an index lists."""
    index = folder / f"{MODEL_FILE}.index.json"
    names = sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.is_file() else [MODEL_FILE]
    return {key: tensor for name in names for key, tensor in read_tensors(folder / name).items()}


def _renamed(name: str) -> str:
    """Return dinov2's name; parts of joined matrices only get to their block."""
    inside = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+?)(\.weight|\.bias)?", name)
    if inside:
        number, part, kind = inside.groups(default="")
        return f"blocks.{number}.{(IN_BLOCK | IN_MEMORY).get(part, part)}{kind}"
    stem = re.sub(r"\.(weight|bias)$", "", name)
    return PLAIN[stem] + name.removeprefix(stem) if stem in PLAIN else name


def _joined(tensors: Tensors) -> Tensors:
    """Return the tensors with queries, keys and values in one matrix, and gates with their values."""
    joined = dict(tensors)
    for whole, parts in JOINED:
        for name in [name for name in tensors if f".{parts[0]}." in name]:
            names = [name.replace(parts[0], part) for part in parts]
            if all(part in joined for part in names):
                joined[name.replace(parts[0], whole)] = torch.cat([joined.pop(part) for part in names])
    return joined


def _without_idle_scales(tensors: Tensors) -> Tensors:
    """Return the tensors without LayerScale where all of it is 1: that library cannot say that there is none."""
    scales = [name for name in tensors if name.endswith(".gamma")]
    if not all(bool((tensors[name] == 1).all()) for name in scales):
        return tensors
    return {name: tensor for name, tensor in tensors.items() if name not in scales}


def _colours(folder: Path) -> dict[str, Any]:
    """Return the mean and deviation that images are prepared with, where the folder tells."""
    path = folder / "preprocessor_config.json"
    config = json.loads(path.read_text()) if path.is_file() else {}
    names = {"mean": "image_mean", "std": "image_std"}
    return {ours: tuple(config[theirs]) for ours, theirs in names.items() if theirs in config}
