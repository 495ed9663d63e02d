"""A feature extractor: a frozen backbone, wherever it comes from. Every evaluation, picture and export uses one.

Shapes: B images, C colours, H W pixels, N patches (row by row), D width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from shared.errors import RecipeError
from training.eval.timm_backbone import is_timm, is_vit, open_net
from training.model.vit import Tokens
from training.params import Positions
from training.weights import Weights, read_weights
from training.weights.timm_vit import from_timm_name

Forward = Callable[[Tensor, Sequence[int]], list[Tokens]]
"""Normalised images_BCHW, numbers of blocks (1 … depth) → outputs after each; the last block's is normed."""

USUAL_SIZE = 224
"""Side of the images that DINOv2, too, is evaluated on, although its positions are made for 518."""


@dataclass(frozen=True)
class FeatureExtractor:
    """A model in eval mode, on its device. For a convolutional network blocks are stages, and patches positions."""

    title: str
    """What tables call it."""
    content: str
    """Changes when anything changes that its features depend on."""
    size: int
    """Side of the images it was trained on, in pixels."""
    patch_size: int
    """Pixels along a side for each patch; image sizes are multiples of it."""
    width: int
    depth: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    forward: Forward
    positions: str = ""
    """How positions are resampled for images of another size, in words; empty where the model decides."""

    @property
    def usual_size(self) -> int:
        """Side of the images to read where nobody says more: its own, at most 224, in whole patches."""
        return max(1, min(self.size, USUAL_SIZE) // self.patch_size) * self.patch_size

    def tokens(self, pixels_BCHW: Tensor) -> Tokens:
        """Return the outputs for uint8 pixels."""
        return self.layers(pixels_BCHW, [self.depth])[0]

    def layers(self, pixels_BCHW: Tensor, blocks: Sequence[int]) -> list[Tokens]:
        """Return the outputs for uint8 pixels after some of its blocks."""
        mean_C11, std_C11 = (torch.tensor(v, device=pixels_BCHW.device).view(-1, 1, 1) for v in (self.mean, self.std))
        return self.forward((pixels_BCHW.float() / 255 - mean_C11) / std_C11, blocks)


PositionsOrAuto = Literal["auto", "antialiased", "offset"]
IN_WORDS: dict[Positions, str] = {
    "antialiased": "resampled, antialiased",
    "offset": "resampled with offset 0.1, not antialiased",
}


def open_model(spec: str, device: torch.device, positions: PositionsOrAuto = "auto") -> FeatureExtractor:
    """Open what a person names: anything that `read_weights` takes, NAME of timm's, or NAME=FILE with its weights.

    Vision transformers run in our own `Backbone`, whatever their origin; what that does not compute runs in timm.
    Raises WorkspaceError where nothing is there, RecipeError where it is no model that is understood.
    """
    name, _, file = spec.partition("=")
    if not is_timm(name):
        return vit(read_weights(spec), device, positions)
    if is_vit(name):
        try:
            return vit(from_timm_name(name, file), device, positions)
        except RecipeError:  # it may be one of those that timm alone computes; if not, timm says so again
            pass
    net = open_net(name, file, device)
    return FeatureExtractor(
        net.title, net.content, net.size, net.patch_size, net.width, net.depth, net.mean, net.std, forward=net.forward
    )


def vit(weights: Weights, device: torch.device, positions: PositionsOrAuto = "auto") -> FeatureExtractor:
    """Return our own model with these weights; auto resamples positions as they were when it was trained."""
    weights = weights.resampled_by(positions)
    return FeatureExtractor(
        title=weights.title,
        content=weights.content,
        size=weights.image_size,
        patch_size=weights.model.patch_size,
        width=weights.model.width,
        depth=weights.model.depth,
        mean=weights.mean,
        std=weights.std,
        forward=weights.backbone().to(device).intermediate_layers,
        positions=IN_WORDS[weights.positions],
    )
