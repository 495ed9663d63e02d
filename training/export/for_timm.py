"""A folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` opens: weights, and how to build the model."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from training.export.preprocessing import RESIZE
from training.model.vit import ffn_columns
from training.params import ModelParams
from training.weights import Weights
from training.weights.weights import POSITIONS

ARCHITECTURES = {"mlp": "vit_small_patch14_dinov2", "swiglu": "vit_giant_patch14_dinov2"}
"""timm's DINOv2 models bring what JSON cannot say, the kind of feed-forward layers; all else is stated."""

LOADING = """\
import timm
import torch
from PIL import Image

model = timm.create_model("local-dir:timm", pretrained=True).eval()
prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
images = prepare(Image.open("image.jpg").convert("RGB"))[None]
with torch.no_grad():
    tokens = model.forward_features(images)
cls, patches = tokens[:, 0], tokens[:, model.num_prefix_tokens :]
"""


def write_timm(weights: Weights, folder: Path) -> None:
    """Write config.json and model.safetensors."""
    save_file(weights.vit, folder / "model.safetensors", metadata={"format": "pt"})
    size = weights.image_size
    config = {
        "architecture": ARCHITECTURES[weights.model.ffn],
        "num_classes": 0,
        "num_features": weights.model.width,
        POSITIONS: weights.positions,
        "model_args": model_args(weights.model, size),
        "pretrained_cfg": {
            "num_classes": 0,
            "input_size": [3, size, size],
            "fixed_input_size": False,
            "interpolation": "bicubic",
            "crop_pct": 1 / RESIZE,
            "crop_mode": "center",
            "mean": list(weights.mean),
            "std": list(weights.std),
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def model_args(model: ModelParams, image_size: int) -> dict[str, Any]:
    """Return what timm's VisionTransformer takes to become our model."""
    return {
        "img_size": image_size,
        "patch_size": model.patch_size,
        "embed_dim": model.width,
        "depth": model.depth,
        "num_heads": model.heads,
        "mlp_ratio": (ffn_columns(model) + 0.5) / model.width,  # timm rounds the product down
        "init_values": model.layer_scale,
        "reg_tokens": model.registers,
        "no_embed_class": model.registers > 0,
        "dynamic_img_size": True,
    }
