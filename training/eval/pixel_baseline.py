"""What can be had without learning: 16×16 colour pixels of an image, the colour and place of a patch.

Shapes: B images, C colours, H W pixels, N patches (row by row), D width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from training.eval.backbone import FeatureExtractor
from training.model.vit import COLOUR_MEAN, COLOUR_STD, Tokens

SIDE = 16


def raw_pixels(size: int, patch_size: int) -> FeatureExtractor:
    """Return the baseline as a model, with patches as large as those of the model it stands beside."""

    def forward(images_BCHW: Tensor, blocks: Sequence[int]) -> list[Tokens]:
        return [Tokens(pixel_features(images_BCHW), _patches(images_BCHW, patch_size))] * len(blocks)

    width = 3 * SIDE**2
    return FeatureExtractor("pixels", f"pixels {SIDE}", size, patch_size, width, 1, COLOUR_MEAN, COLOUR_STD, forward)


def pixel_features(images_BCHW: Tensor) -> Tensor:
    """Return 16×16 colour pixels as features."""
    return F.adaptive_avg_pool2d(images_BCHW, SIDE).flatten(1)


def _patches(images_BCHW: Tensor, patch_size: int) -> Tensor:
    """Return the mean colour of each patch, and its row and column from -1 to 1."""
    colour_BCHW = F.avg_pool2d(images_BCHW, patch_size)
    rows, columns = (torch.linspace(-1, 1, side, device=images_BCHW.device) for side in colour_BCHW.shape[2:])
    place_2HW = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    place_B2HW = place_2HW.expand(len(colour_BCHW), -1, -1, -1)
    return torch.cat([colour_BCHW, place_B2HW], dim=1).flatten(2).transpose(1, 2)
