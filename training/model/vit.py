"""The vision transformer: timm's, with a mask token, for crops of any size.

Shapes: B images, C colours, H W pixels, N patches (row by row), D width, T = 1 + registers + N tokens; L tokens
of all crops, R that a loss reads: the CLS tokens of Q crops and M patches.
"""

from collections.abc import Sequence
from functools import cache, partial
from math import isqrt
from typing import Any, NamedTuple

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import torch
from timm.layers.mlp import Mlp, SwiGLUPacked
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from training.model.blocks import PLAIN, run_block, run_last_block
from training.model.drop_path import DropPathSubsets, KeptTokens, Packing
from training.params import ModelParams, Positions

COLOUR_MEAN = (0.485, 0.456, 0.406)
COLOUR_STD = (0.229, 0.224, 0.225)
OFFSET = 0.1
"""Of DINOv2's `interpolate_offset`: a grid of h patches is read at the scale (h + .1) / side, not at h / side."""


class Tokens(NamedTuple):
    """The last tokens of each image."""

    cls: Tensor
    """cls_BD."""
    patches: Tensor
    """patches_BND."""


def resampled(pos_embed_1LD: Tensor, grid: tuple[int, int], prefix: int, rule: Positions) -> Tensor:
    """Return the embedding for rows × columns patches, bicubic; the same where the grid is.

    `offset` is facebookresearch/dinov2's interpolate_pos_encoding: scale factors with .1 added, no antialiasing.
    """
    side = isqrt(pos_embed_1LD.shape[1] - prefix)
    if grid == (side, side):
        return pos_embed_1LD
    if rule == "antialiased":
        other_1LD: Tensor = resample_abs_pos_embed(pos_embed_1LD, new_size=list(grid), num_prefix_tokens=prefix)
        return other_1LD
    patches_1DHW = pos_embed_1LD[:, prefix:].float().view(1, side, side, -1).permute(0, 3, 1, 2)
    rows, columns = grid
    scale = ((rows + OFFSET) / side, (columns + OFFSET) / side)
    patches_1DHW = F.interpolate(patches_1DHW, scale_factor=scale, mode="bicubic")
    return torch.cat([pos_embed_1LD[:, :prefix].float(), patches_1DHW.flatten(2).mT], dim=1).to(pos_embed_1LD.dtype)


def normalised(images_BCHW: Tensor) -> Tensor:
    """Return uint8 pixels as floats with ImageNet's mean and deviation."""
    mean_C11, std_C11 = _colours(images_BCHW.device)
    return (images_BCHW.float() / 255 - mean_C11) / std_C11


@cache
def _colours(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean_C11 and std_C11; copying them anew would make the processor wait for the device."""
    with torch.inference_mode(False):
        mean_C11, std_C11 = (torch.tensor(of, device=device).view(3, 1, 1) for of in (COLOUR_MEAN, COLOUR_STD))
    return mean_C11, std_C11


def ffn_columns(params: ModelParams) -> int:
    """Return the outputs of a block's first feed-forward layer; gates and values are each a multiple of 8."""
    if params.ffn == "mlp":
        return int(params.width * params.mlp_ratio)
    return 2 * ((int(params.width * params.mlp_ratio * 2 / 3) + 7) // 8 * 8)


class Backbone(nn.Module):
    """A ViT whose position embedding is resampled to the crop at hand. `vit` has timm's keys: weights move freely."""

    def __init__(self, params: ModelParams, image_size: int) -> None:
        super().__init__()
        gated = params.ffn == "swiglu"
        feed_forward: Any = SwiGLUPacked if gated else Mlp
        self.vit: Any = VisionTransformer(
            img_size=image_size,
            patch_size=params.patch_size,
            embed_dim=params.width,
            depth=params.depth,
            num_heads=params.heads,
            mlp_ratio=(ffn_columns(params) + 0.5) / params.width,  # timm rounds the product down
            mlp_layer=feed_forward,
            act_layer=nn.SiLU if gated else nn.GELU,
            reg_tokens=params.registers,
            init_values=params.layer_scale or None,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            no_embed_class=params.registers > 0,  # as timm's DINOv2 models
            dynamic_img_size=True,
            num_classes=0,
        )
        self.mask_token = nn.Parameter(torch.zeros(params.width))
        self.positions: Positions = "offset" if params.positions == "offset" else "antialiased"
        self.activation_checkpointing = params.activation_checkpointing
        self.branches = PLAIN

    def forward(self, images_BCHW: Tensor, mask_BN: Tensor | None = None) -> Tokens:
        """Return the tokens of normalised images; where the mask is true, the patch is hidden. Nothing is skipped."""
        return self.intermediate_layers(images_BCHW, [len(self.vit.blocks)], mask_BN)[0]

    def intermediate_layers(
        self, images_BCHW: Tensor, blocks: Sequence[int], mask_BN: Tensor | None = None
    ) -> list[Tokens]:
        """Return the tokens after some blocks (1 … depth); no block is run in vain.

        The last norm was made for the last block, and is for that alone.
        """
        x_LD, packing = self._packed([images_BCHW], mask_BN)
        after_block = {}
        for number, block in enumerate(self.vit.blocks[: max(blocks)], 1):
            x_LD = run_block(block, x_LD, packing, [None, None], self._recompute, PLAIN)
            if number in blocks:
                last_LD = self.vit.norm(x_LD) if number == len(self.vit.blocks) else x_LD
                x_BTD = last_LD.view(len(images_BCHW), packing.tokens[0], -1)
                after_block[number] = Tokens(x_BTD[:, 0], x_BTD[:, self.vit.num_prefix_tokens :])
        return [after_block[number] for number in blocks]

    def forward_crops(
        self, crops: list[Tensor], mask_BN: Tensor | None, indices_M: Tensor, subsets: DropPathSubsets | None
    ) -> tuple[Tensor, Tensor]:
        """Run on crops of several sizes at once; return cls_QD of all of them and patches_MD of the first size.

        The mask (iBOT's) is for the first size, and indices count through its flattened (B, N).
        """
        x_LD, packing = self._packed(crops, mask_BN)
        kept: list[KeptTokens | None] = [None] * (2 * len(self.vit.blocks))
        if subsets:
            kept = KeptTokens.of(subsets, packing)
        *blocks, last = self.vit.blocks
        for number, block in enumerate(blocks):
            of_block = kept[2 * number : 2 * number + 2]
            x_LD = run_block(block, x_LD, packing, of_block, self._recompute, self.branches)
        cls_Q = packing.first_tokens(x_LD.device)
        rows_R = torch.cat([cls_Q, packing.patches(indices_M, self.vit.num_prefix_tokens)])
        x_RD = self.vit.norm(run_last_block(last, x_LD, packing, rows_R, kept[-2:]))
        return x_RD[: len(cls_Q)], x_RD[len(cls_Q) :]

    @property
    def _recompute(self) -> bool:
        return self.activation_checkpointing and self.training and torch.is_grad_enabled()

    def _packed(self, crops: list[Tensor], mask_BN: Tensor | None) -> tuple[Tensor, Packing]:
        """Return the tokens of all crops before the first block, in fp32, the mask token put in; and how they lie."""
        parts = []
        for size, images_BCHW in enumerate(crops):
            x_BHWD = self._embedded(images_BCHW).float()
            if size == 0 and mask_BN is not None:
                x_BHWD = torch.where(mask_BN.view(*x_BHWD.shape[:3], 1), self.mask_token, x_BHWD)
            parts.append(self._placed(x_BHWD))
        packing = Packing(tuple(len(part) for part in parts), tuple(part.shape[1] for part in parts))
        return torch.cat([part.flatten(0, 1) for part in parts]), packing

    def _placed(self, x_BHWD: Tensor) -> Tensor:
        """Return x_BTD: patches with their positions, after CLS and registers."""
        if self.positions == "antialiased":
            antialiased_BTD: Tensor = self.vit._pos_embed(x_BHWD)
            return antialiased_BTD
        own = 0 if self.vit.no_embed_class else 1  # position of the CLS token
        pos_embed_1LD = resampled(self.vit.pos_embed, (x_BHWD.shape[1], x_BHWD.shape[2]), own, self.positions)
        patches_BND = x_BHWD.flatten(1, 2) + pos_embed_1LD[:, own:]
        first_11D = self.vit.cls_token + pos_embed_1LD[:, :own] if own else self.vit.cls_token
        prefix = [first_11D] if self.vit.reg_token is None else [first_11D, self.vit.reg_token]
        return torch.cat([*(token.expand(len(x_BHWD), -1, -1) for token in prefix), patches_BND], dim=1)

    def _embedded(self, images_BCHW: Tensor) -> Tensor:
        """Return the patch embedding x_BHWD as a matrix product: a convolution's backward is slow on a CPU."""
        convolution = self.vit.patch_embed.proj
        side = convolution.kernel_size[0]
        patches = images_BCHW.unfold(2, side, side).unfold(3, side, side).permute(0, 2, 3, 1, 4, 5).flatten(3)
        return F.linear(patches, convolution.weight.flatten(1), convolution.bias)
