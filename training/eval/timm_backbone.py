"""timm's models that are no plain vision transformer: convolutional and hierarchical ones, run by timm itself.

Shapes: B images, C colours, H W pixels or places, N places (row by row), D width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from shared.errors import RecipeError
from shared.params import fingerprint
from training.model.vit import Tokens
from training.weights.files import brief, content_of, read_tensors, unwrapped
from training.weights.timm_vit import pretrained


def is_timm(name: str) -> bool:
    """Tell a name of timm's, with or without a tag."""
    return bool(timm.is_model(name))


def is_vit(name: str) -> bool:
    """Tell whether timm makes a plain vision transformer of the name."""
    with torch.device("meta"):
        return type(timm.create_model(name)) is VisionTransformer


def open_net(name: str, file: str, device: torch.device) -> "Net":
    """Return a model by name, with weights from a file or, without one, the hub. Raises RecipeError without them."""
    module: Any = _with_weights_of(name, file) if file else pretrained(name, f"{name}=FILE")
    return Net(name, module.eval().requires_grad_(False).to(device))


def _with_weights_of(name: str, file: str) -> Any:
    module: Any = timm.create_model(name, num_classes=0)
    heads = module.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else heads
    tensors = unwrapped(read_tensors(Path(file).expanduser()))
    try:
        module.load_state_dict({key: value for key, value in tensors.items() if key.rpartition(".")[0] not in heads})
    except RuntimeError as error:
        raise RecipeError(
            f"The model {name} needs weights under timm's names, got {file}: {brief(error)}. "
            "Give this model's file, or the name of the file's model."
        ) from None
    return module


class Net:
    """A model of timm's whose blocks are its stages: feature maps, and what the classifier would see as CLS."""

    def __init__(self, name: str, module: Any) -> None:
        config: dict[str, Any] = resolve_model_data_config(module)  # type: ignore[no-untyped-call]
        self.title, self.content, self.module = name, fingerprint(name, content_of(module.state_dict())), module
        self.size = int(config["input_size"][-1])
        self.patch_size = max(int(stage["reduction"]) for stage in module.feature_info)
        self.width, self.depth = int(module.num_features), len(module.feature_info)
        self.mean, self.std = tuple(config["mean"]), tuple(config["std"])
        self.resizes = hasattr(module, "set_input_size")

    def forward(self, images_BCHW: Tensor, blocks: Sequence[int]) -> list[Tokens]:
        """Return the maps after some stages, each with its mean; for the last one, with the pooled features."""
        if self.resizes and images_BCHW.shape[-1] != self.size:
            self.size = images_BCHW.shape[-1]
            self.module.set_input_size(img_size=self.size)
        ordered = sorted(set(blocks))
        last, maps = self.module.forward_intermediates(
            images_BCHW, indices=[block - 1 for block in ordered], norm=True, output_fmt="NCHW"
        )
        outputs = {}
        for block, map_BDHW in zip(ordered, maps, strict=True):
            patches_BND = map_BDHW.flatten(2).transpose(1, 2)
            pooled = block == self.depth
            cls_BD = self.module.forward_head(last, pre_logits=True) if pooled else patches_BND.mean(dim=1)
            outputs[block] = Tokens(cls_BD, patches_BND)
        return [outputs[block] for block in blocks]
