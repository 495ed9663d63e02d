"""Models that timm makes, with pooled features and their own preparation of images."""

import pickle
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import timm
from PIL import Image
from safetensors import SafetensorError
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from timm.models import load_state_dict
from torch import Tensor

from curation.models.network import Network
from curation.models.with_torch import Precision, device, torch_network
from shared.errors import RecipeError


class Loaded(NamedTuple):
    """A model and how it wants its images."""

    network: Network
    prepare: Callable[[Image.Image], Tensor]
    """An image to pixels [3, height, width], 0 to 255, resized and cropped as for its training."""
    config: dict[str, Any]
    """Mean and deviation of the colours, among other things."""


@cache
def load_timm(name: str, weights: str | None, content: str | None, size: int, precision: Precision) -> Loaded:
    """Return a model by name, with weights from a file or the hub. Raises RecipeError where they do not come."""
    overlay = _overlay(name, weights) if weights else None
    try:
        module: Any = timm.create_model(name, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
    except OSError as error:
        raise RecipeError(
            f"The embedder timm needs the weights of {name}, and they cannot be downloaded: {type(error).__name__}. "
            "Connect to huggingface.co, or give a file of them as `weights`."
        ) from None
    except RuntimeError as error:
        raise _foreign(name, weights, error) from None
    config: dict[str, Any] = resolve_model_data_config(module)  # type: ignore[no-untyped-call]
    module.pretrained_cfg.pop("state_dict", None)  # a second copy of the weights
    if size:
        config["input_size"] = (3, size, size)
        _resize(name, module, size)
    prepare = create_transform(**config, is_training=False, use_prefetcher=True)  # leaves mean and deviation to us
    return Loaded(torch_network(f"timm's {name}", module.eval().to(device()), precision), prepare, config)


def _overlay(name: str, weights: str) -> dict[str, Any]:
    """Return what makes timm take the file and all of it: by itself it passes over weights that are missing."""
    config = timm.get_pretrained_cfg(name)
    classifier = config.classifier if config else None
    heads = classifier if isinstance(classifier, tuple | list) else (classifier,)
    try:
        state: dict[str, Any] = load_state_dict(weights)
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise _foreign(name, weights, error) from None
    kept = {key: value for key, value in state.items() if key.rpartition(".")[0] not in heads}
    return {"state_dict": kept, "num_classes": 0, "label_offset": 0, "custom_load": False}


def _foreign(name: str, weights: str | None, error: Exception) -> RecipeError:
    return RecipeError(
        f"The embedder timm needs the weights of {name}, got {weights}: {' '.join(str(error).split())[:200]}. "
        "Give this model's file, or the name of the file's model."
    )


def _resize(name: str, module: Any, size: int) -> None:
    """Let a transformer take another size; a convolutional network takes any."""
    if not hasattr(module, "set_input_size"):
        return
    patch = max(module.patch_embed.patch_size)
    if size % patch:
        raise RecipeError(
            f"The embedder timm needs a size that is a multiple of {name}'s patch size {patch}, got {size}. "
            f"Set it to {size // patch * patch or patch}."
        )
    module.set_input_size(img_size=size)
