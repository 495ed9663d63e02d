"""What `dinoflow export` writes: a backbone in timm's or transformers' layout, and the heads beside it."""

from dataclasses import replace
from pathlib import Path

from training.weights.files import read_tensors
from training.weights.hf_dinov2 import from_transformers_folder
from training.weights.timm_vit import from_timm_folder
from training.weights.weights import Weights

HEADS = "heads.safetensors"
TIMM, TRANSFORMERS = "timm", "transformers"
MASK_TOKEN = "mask_token"


def is_exported(path: Path) -> bool:
    """Tell the folder of an export that has a backbone to read."""
    return any((path / name / "config.json").is_file() for name in (TIMM, TRANSFORMERS))


def from_exported(path: Path) -> Weights:
    """Return the backbone, and the heads and mask token where they are there."""
    in_timm = (path / TIMM / "config.json").is_file()
    weights = from_timm_folder(path / TIMM) if in_timm else from_transformers_folder(path / TRANSFORMERS)
    if not (path / HEADS).is_file():
        return weights
    heads = read_tensors(path / HEADS)
    return replace(weights, mask_token=heads.pop(MASK_TOKEN), heads=heads)
