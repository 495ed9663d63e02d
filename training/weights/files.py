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
NESTS = ("teacher", "model_ema", "ema", "model", "module", "state_dict", "model_state_dict", "student", "backbone")
"""Keys under which training programs keep the weights that count, the best first."""
WRAPPING = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""What DDP, torch.compile, FSDP and activation checkpointing put into names, wherever they wrap a module."""
ROLES = ("teacher", "model_ema", "ema", "model", "student", "backbone")
"""What a network is called within a larger one, the best first."""


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
    while isinstance(whole, dict):
        inner = next((whole[key] for key in NESTS if isinstance(whole.get(key), dict)), None)
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


def unwrapped(tensors: Tensors) -> Tensors:
    """Return the tensors of the network that counts, without any stack of wrappings and roles around their names.

    Of a student and a teacher side by side the teacher is taken. Names that have neither stay as they are.
    """
    plain = {".".join(part for part in name.split(".") if part not in WRAPPING): tensors[name] for name in tensors}
    role = next((role for role in ROLES if any(name.startswith(f"{role}.") for name in plain)), None)
    return plain if role is None else unwrapped(within(plain, (f"{role}.",)))


def within(tensors: Tensors, prefixes: tuple[str, ...]) -> Tensors:
    """Return the tensors under the first of the prefixes that there is, without it; all where there is none."""
    for prefix in prefixes:
        stripped = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if stripped:
            return stripped
    return tensors
