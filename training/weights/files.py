"""Files of tensors, read without running any code that is in them."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from shared.errors import RecipeError, WorkspaceError

Tensors = dict[str, Tensor]
WRAPPERS = ("teacher", "model", "state_dict", "model_state_dict")
"""Keys under which training programs keep the weights that count."""


def read_tensors(path: Path) -> Tensors:
    """Return what a .safetensors file or a PyTorch checkpoint holds, on the CPU. Raises RecipeError for others."""
    if not path.is_file():
        raise WorkspaceError(f"Weights are needed in {path}, which is not there. Give a folder or file that has them.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        whole: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise RecipeError(
            f"{path} needs to be a .safetensors file or a PyTorch checkpoint of tensors alone, got: "
            f"{brief(error)}. Load it where it was made, and save its state_dict."
        ) from None
    while isinstance(whole, dict) and not any(isinstance(value, Tensor) for value in whole.values()):
        inner = next((whole[key] for key in WRAPPERS if isinstance(whole.get(key), dict)), None)
        if inner is None:
            break
        whole = inner
    tensors = {k: v for k, v in whole.items() if isinstance(v, Tensor)} if isinstance(whole, dict) else {}
    if not tensors:
        raise RecipeError(f"{path} needs to hold tensors by name, got none. Save a model's state_dict.")
    return tensors


def content_of(tensors: Mapping[str, Tensor]) -> str:
    """Return what changes when any name or number does, in whatever order they come."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def brief(error: Exception) -> str:
    """Return the beginning of what another library says, on one line."""
    return " ".join(str(error).split())[:200]


def within(tensors: Tensors, prefixes: tuple[str, ...]) -> Tensors:
    """Return the tensors under the first of the prefixes that there is, without it; all where there is none."""
    for prefix in prefixes:
        stripped = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if stripped:
            return stripped
    return tensors
