"""The vision transformer: timm's, with a mask token, for crops of any size.

Shapes: B images, C colours, H W pixels, N patches (row by row), D width, T = 1 + registers + N tokens.
"""

from functools import partial
from typing import Any, NamedTuple

import shared.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from training.params import ModelParams

COLOUR_MEAN = (0.485, 0.456, 0.406)
COLOUR_STD = (0.229, 0.224, 0.225)


class Tokens(NamedTuple):
    """What the backbone sees in each image, after the last norm."""

    cls: Tensor
    """cls_BD."""
    patches: Tensor
    """patches_BND."""


def normalised(images_BCHW: Tensor) -> Tensor:
    """Return uint8 pixels as floats with ImageNet's mean and deviation."""
    mean_C11 = torch.tensor(COLOUR_MEAN, device=images_BCHW.device).view(3, 1, 1)
    std_C11 = torch.tensor(COLOUR_STD, device=images_BCHW.device).view(3, 1, 1)
    return (images_BCHW.float() / 255 - mean_C11) / std_C11


class Backbone(nn.Module):
    """A ViT whose position embedding is resampled to the crop at hand."""

    def __init__(self, params: ModelParams, image_size: int) -> None:
        super().__init__()
        self.vit: Any = VisionTransformer(
            img_size=image_size,
            patch_size=params.patch_size,
            embed_dim=params.width,
            depth=params.depth,
            num_heads=params.heads,
            mlp_ratio=params.mlp_ratio,
            reg_tokens=params.registers,
            init_values=params.layer_scale,
            drop_path_rate=params.drop_path,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            no_embed_class=True,
            dynamic_img_size=True,
            num_classes=0,
        )
        self.mask_token = nn.Parameter(torch.zeros(params.width))
        self.activation_checkpointing = params.activation_checkpointing

    def suit(self, device: torch.device) -> None:
        """Choose how attention is computed: fused kernels, but plain products on a CPU, where theirs are slow."""
        for block in self.vit.blocks:
            block.attn.fused_attn = device.type != "cpu"

    def forward(self, images_BCHW: Tensor, mask_BN: Tensor | None = None) -> Tokens:
        """Look at normalised images; where the mask is true, the patch is hidden."""
        x_BHWD = self._embedded(images_BCHW)
        if mask_BN is not None:
            hidden_BHW1 = mask_BN.view(*x_BHWD.shape[:3], 1)
            x_BHWD = torch.where(hidden_BHW1, self.mask_token.to(x_BHWD.dtype), x_BHWD)
        x_BTD = self.vit.norm_pre(self.vit._pos_embed(x_BHWD))
        for block in self.vit.blocks:
            if self.activation_checkpointing and self.training:
                x_BTD = checkpoint(block, x_BTD, use_reentrant=False)
            else:
                x_BTD = block(x_BTD)
        x_BTD = self.vit.norm(x_BTD)
        return Tokens(x_BTD[:, 0], x_BTD[:, self.vit.num_prefix_tokens :])

    def _embedded(self, images_BCHW: Tensor) -> Tensor:
        """Return the patch embedding x_BHWD as a matrix product: a convolution's backward is slow on a CPU."""
        convolution = self.vit.patch_embed.proj
        side = convolution.kernel_size[0]
        patches = images_BCHW.unfold(2, side, side).unfold(3, side, side).permute(0, 2, 3, 1, 4, 5).flatten(3)
        return F.linear(patches, convolution.weight.flatten(1), convolution.bias)
