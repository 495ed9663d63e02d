"""A folder that transformers' Dinov2Model opens, or its Dinov2WithRegistersModel where there are registers.

Under the names that are on the hub: every version of that library reads them.
"""

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from shared.errors import RecipeError
from training.export.preprocessing import ONE_SIZE, shorter_side, sizes_with_antialiasing
from training.model.vit import ffn_columns
from training.params import ModelParams
from training.weights import Weights
from training.weights.files import Tensors
from training.weights.hf_dinov2 import EPS, IN_BLOCK, PLAIN, QKV
from training.weights.weights import POSITIONS

LOADING = """\
import torch
from PIL import Image
from transformers import AutoImageProcessor, {model}

model = {model}.from_pretrained("./transformers").eval()
prepare = AutoImageProcessor.from_pretrained("./transformers")
images = prepare(Image.open("image.jpg").convert("RGB"), return_tensors="pt")["pixel_values"]
with torch.no_grad():
    tokens = model(images).last_hidden_state
cls, patches = tokens[:, 0], tokens[:, {prefix}:]
"""


def class_name(weights: Weights) -> str:
    """Return the class that opens the folder."""
    return "Dinov2WithRegistersModel" if weights.model.registers else "Dinov2Model"


def loading(weights: Weights) -> str:
    """Return the code that opens the folder."""
    return LOADING.format(model=class_name(weights), prefix=1 + weights.model.registers)


def sizes(weights: Weights) -> str:
    """Return for which images the features are the same as ours."""
    if weights.model.registers:
        return sizes_with_antialiasing(weights)
    return ONE_SIZE.format(size=weights.image_size, how="without antialiasing")


def write_transformers(weights: Weights, folder: Path) -> None:
    """Write config.json, model.safetensors and preprocessor_config.json. Raises RecipeError."""
    config = _config(weights)
    tensors = {_renamed(name): tensor for name, tensor in _with_parts(_in_dinov2s_names(weights)).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for name, contents in (("config", config), ("preprocessor_config", _preparation(weights))):
        (folder / f"{name}.json").write_text(json.dumps(contents, indent=2) + "\n")


def _whole_ratio(model: ModelParams) -> int:
    """Return the ratio of a block's feed-forward layers. Raises RecipeError where it is none that the library takes."""
    ratio = round(model.mlp_ratio)
    if not ratio or ffn_columns(model.model_copy(update={"mlp_ratio": float(ratio)})) != ffn_columns(model):
        raise RecipeError(
            f"transformers' Dinov2Model needs a whole model.mlp_ratio, got {model.mlp_ratio}. "
            "Leave it out: --formats timm,onnx."
        )
    return ratio


def _config(weights: Weights) -> dict[str, Any]:
    model = weights.model
    registers = {"num_register_tokens": model.registers} if model.registers else {"use_mask_token": True}
    return {
        "architectures": [class_name(weights)],
        "model_type": "dinov2_with_registers" if model.registers else "dinov2",
        "hidden_size": model.width,
        "num_hidden_layers": model.depth,
        "num_attention_heads": model.heads,
        "mlp_ratio": _whole_ratio(model),
        "use_swiglu_ffn": model.ffn == "swiglu",
        "hidden_act": "gelu",
        "layer_norm_eps": EPS,
        "layerscale_value": model.layer_scale or 1.0,
        "qkv_bias": True,
        "image_size": weights.image_size,
        "patch_size": model.patch_size,
        "num_channels": 3,
        POSITIONS: weights.positions,
        **registers,
    }


def _preparation(weights: Weights) -> dict[str, Any]:
    size = weights.image_size
    return {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": shorter_side(size)},
        "resample": 3,  # bicubic
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(weights.mean),
        "image_std": list(weights.std),
    }


def _in_dinov2s_names(weights: Weights) -> Tensors:
    """Return the weights as dinov2 keeps them: CLS with a position, zero where ours has none; LayerScale, if of 1."""
    model, tensors = weights.model, dict(weights.vit)
    ones_D, zeros_D = torch.ones(model.width), torch.zeros(model.width)
    tensors["mask_token"] = (zeros_D if weights.mask_token is None else weights.mask_token)[None].contiguous()
    if model.registers:
        tensors["register_tokens"] = tensors.pop("reg_token")
        tensors["pos_embed"] = torch.cat([zeros_D[None, None], tensors["pos_embed"]], dim=1)
    if not model.layer_scale:
        tensors |= {f"blocks.{b}.{scale}.gamma": ones_D.clone() for b in range(model.depth) for scale in ("ls1", "ls2")}
    if model.ffn == "swiglu":
        gated = ((name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"), t) for name, t in tensors.items())
        tensors = dict(gated)
    return tensors


def _with_parts(tensors: Tensors) -> Tensors:
    """Return the tensors with queries, keys and values apart."""
    split: Tensors = {}
    for name, tensor in tensors.items():
        if ".attn.qkv." in name:
            parts = zip(QKV, tensor.chunk(3), strict=True)
            split |= {name.replace("attn.qkv", part): piece.contiguous() for part, piece in parts}
        else:
            split[name] = tensor
    return split


def _renamed(name: str) -> str:
    """Return the library's name for dinov2's."""
    inside = re.fullmatch(r"blocks\.(\d+)\.(.+?)(\.weight|\.bias)?", name)
    if inside:
        number, part, kind = inside.groups(default="")
        return f"encoder.layer.{number}.{_of(IN_BLOCK, part)}{kind}"
    stem = re.sub(r"\.(weight|bias)$", "", name)
    return _of(PLAIN, stem) + name.removeprefix(stem)


def _of(names: dict[str, str], ours: str) -> str:
    return next((theirs for theirs, name in names.items() if name == ours), ours)
