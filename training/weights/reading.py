"""Finds out what kind of weights a person named, and reads them."""

import json
import re
from pathlib import Path

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import timm

from shared.errors import RecipeError, WorkspaceError
from training.weights.dinov2 import from_dinov2, is_dinov2
from training.weights.exported import from_exported, is_exported
from training.weights.files import read_tensors
from training.weights.hf_dinov2 import from_transformers_folder
from training.weights.run import WhichNetwork, from_run, is_run
from training.weights.timm_vit import from_timm, from_timm_folder, from_timm_name
from training.weights.weights import Weights

ALLOWED = (
    "Give WORKSPACE/runs/RUN (also RUN@STEP, RUN:student), a checkpoint's folder, a folder that `dinoflow export`, "
    "timm or transformers wrote, a file of weights (.safetensors, .pth, .pt), or a name of timm's"
)
IN_FOLDERS = {"model.safetensors": "config.json", "state.pt": "checkpoint.json"}
"""Files that do not tell all, where what does is beside them: their folder is read."""
RUN = re.compile(r"(?P<path>.+?)(@(?P<step>\d+))?(:(?P<part>teacher|student))?")


def read_weights(spec: str) -> Weights:
    """Return the weights that a path or a name stands for, in fp32, on the CPU.

    Raises WorkspaceError where nothing is there, RecipeError where it is no vision transformer that is understood.
    """
    if "://" in spec:
        raise WorkspaceError(f"Weights are needed on a disk, got {spec}. Copy its folder here, and give its path.")
    path = Path(spec).expanduser()
    if path.name in IN_FOLDERS and (path.parent / IN_FOLDERS[path.name]).is_file():
        path = path.parent
    if path.is_file():
        tensors = read_tensors(path)
        return from_dinov2(str(path), tensors) if is_dinov2(tensors) else from_timm(str(path), tensors)
    if path.is_dir():
        return from_run(path) if is_run(path) else _folder(path)
    match = RUN.fullmatch(spec)
    if match and is_run(folder := Path(match["path"]).expanduser()):
        network: WhichNetwork = "student" if match["part"] == "student" else "teacher"
        return from_run(folder, int(match["step"]) if match["step"] else None, network)
    if timm.is_model(spec):
        return from_timm_name(spec)
    raise WorkspaceError(f"Weights are needed, and {spec} is no file, folder, run or name of timm's. {ALLOWED}.")


def _folder(path: Path) -> Weights:
    if is_exported(path):
        return from_exported(path)
    config = json.loads((path / "config.json").read_text()) if (path / "config.json").is_file() else {}
    if "model_type" in config:
        return from_transformers_folder(path)
    if "params" in config:
        return from_run(path)  # which says that it has no checkpoint
    if "architecture" in config:
        return from_timm_folder(path)
    raise RecipeError(f"{path} needs to hold weights that are understood, got no config.json of a model. {ALLOWED}.")
