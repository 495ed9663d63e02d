"""Frozen models beside a student: a teacher to distil from, and a model whose patches set a Gram matrix.

Each sees crops at the size that gives it as many patches as the student has, whatever its own patches are.

Shapes: as in student_teacher.py; F width of the frozen model.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.model.drop_path import DropPathSubsets
from training.model.student_teacher import Outputs
from training.model.vit import Backbone


class CentredHead(nn.Module):
    """Features less their mean, of unit length, and maybe prototypes among them, for a teacher that has none."""

    def __init__(self, width: int, prototypes: int = 0) -> None:
        super().__init__()
        self.mean_F: Tensor
        self.register_buffer("mean_F", torch.zeros(width))
        self.prototypes = nn.Linear(width, prototypes, bias=False) if prototypes else None

    def forward(self, x_RF: Tensor) -> Tensor:
        """Return z_RF, of unit length."""
        return F.normalize(x_RF.float() - self.mean_F, dim=-1, eps=1e-6)


class PlainHead(nn.Module):
    """Features of unit length."""

    def forward(self, x_RF: Tensor) -> Tensor:
        """Return z_RF, of unit length."""
        return F.normalize(x_RF.float(), dim=-1, eps=1e-6)


class FrozenTeacher(nn.Module):
    """A teacher that never changes: called as the EMA teacher is."""

    def __init__(self, backbone: Backbone, heads: list[nn.Module], patch_size: int) -> None:
        super().__init__()
        self.backbone, self.own_heads = backbone, nn.ModuleList(heads)
        self.patch_size = patch_size
        self.requires_grad_(False).eval()

    def forward(
        self, crops: list[Tensor], mask_RN: None, indices_M: Tensor, subsets: DropPathSubsets | None = None
    ) -> Outputs:
        """Run on the normalised global crops, reading the patches at `indices_M`."""
        cls_RF, patches_MF = self.tokens(crops[0], indices_M)
        return Outputs(self.own_heads[0](cls_RF), self.own_heads[-1](patches_MF), cls_RF)

    def tokens(self, images_RCHW: Tensor, indices_M: Tensor) -> tuple[Tensor, Tensor]:
        """Return cls_RF and patches_MF before the heads."""
        images_RCHW = at_grid_of(images_RCHW, self.patch_size, self.backbone)
        return self.backbone.forward_crops([images_RCHW], None, indices_M, None)

    def heads(self) -> list[Any]:
        """Return the heads that have prototypes: one, two, or none where features are the targets."""
        return [head for head in self.own_heads if getattr(head, "prototypes", None) is not None]

    def drawn(self) -> list[CentredHead]:
        """Return the heads whose mean and prototypes come from training images: what a checkpoint must remember."""
        return [head for head in self.own_heads if isinstance(head, CentredHead)]


@dataclass(frozen=True)
class FrozenModels:
    """What guides a student and is never trained."""

    teacher: FrozenTeacher | None = None
    gram: Backbone | None = None
    patch_size: int = 0
    """Of the student."""

    @torch.no_grad()
    def gram_target(self, images_RCHW: Tensor) -> Tensor | None:
        """Return patches_RNF of normalised global crops, where there is a Gram teacher."""
        if self.gram is None:
            return None
        patches_RNF: Tensor = self.gram(at_grid_of(images_RCHW, self.patch_size, self.gram)).patches
        return patches_RNF


def at_grid_of(images_RCHW: Tensor, patch_size: int, backbone: Backbone) -> Tensor:
    """Return the images at the size where this model has as many patches as one with patches of `patch_size`."""
    side = images_RCHW.shape[-1] // patch_size * backbone.vit.patch_embed.proj.kernel_size[0]
    if side == images_RCHW.shape[-1]:
        return images_RCHW
    return F.interpolate(images_RCHW, size=(side, side), mode="bicubic", antialias=True)
