"""A backbone to look with, wherever it comes from: what every evaluation, picture and export is made with.

Shapes: B images, C colours, H W pixels, N patches (row by row), D width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.model import Tokens

Look = Callable[[Tensor, Sequence[int]], list[Tokens]]
"""Normalised images_BCHW, numbers of blocks (1 … depth) → what is seen after each of them, after the last norm."""


@dataclass(frozen=True)
class Frozen:
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
    look: Look

    def tokens(self, pixels_BCHW: Tensor) -> Tokens:
        """Return what the model sees in uint8 pixels."""
        return self.layers(pixels_BCHW, [self.depth])[0]

    def layers(self, pixels_BCHW: Tensor, blocks: Sequence[int]) -> list[Tokens]:
        """Return what the model sees in uint8 pixels after some of its blocks."""
        mean_C11, std_C11 = (torch.tensor(v, device=pixels_BCHW.device).view(-1, 1, 1) for v in (self.mean, self.std))
        return self.look((pixels_BCHW.float() / 255 - mean_C11) / std_C11, blocks)
