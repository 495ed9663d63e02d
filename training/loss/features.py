"""Losses between tokens of a student and of a frozen model: by cosine, and by which patches resemble each other.

Shapes: R rows, E numbers of a row; B images of N patches, D width; the two models' D may differ.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def feature_distance(z_RE: Tensor, target_RE: Tensor) -> Tensor:
    """Return 1 - cosine of each row with its target, both of unit length."""
    cosine_R: Tensor = torch.linalg.vecdot(z_RE.float(), target_RE.float())
    return 1 - cosine_R


def gram_loss(patches_BND: Tensor, target_BND: Tensor) -> Tensor:
    """Return the mean squared difference of two Gram matrices of patches of unit length (Siméoni et al. 2025).

    The slow form, as in DINOv3, image by image:

        for b, i, j:
            loss += (patches[b, i] · patches[b, j] - target[b, i] · target[b, j]) ** 2
        loss /= B * N * N
    """
    with torch.autocast(patches_BND.device.type, enabled=False):
        x_BND, y_BND = (F.normalize(tokens.float(), dim=-1) for tokens in (patches_BND, target_BND))
        return F.mse_loss(x_BND @ x_BND.mT, y_BND @ y_BND.mT)
