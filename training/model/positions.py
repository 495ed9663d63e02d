"""Position embeddings for another grid of patches: by antialiasing, or as DINOv2's first models were trained.

Shapes: pos_embed_1LD with L = prefix + side², the patches row by row.
"""

from math import isqrt

from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, cat
from torch.nn import functional as F

from training.params import Positions

OFFSET = 0.1
"""Of DINOv2's `interpolate_offset`: a grid of h patches is read at the scale (h + .1) / side, not at h / side."""


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
    return cat([pos_embed_1LD[:, :prefix].float(), patches_1DHW.flatten(2).mT], dim=1).to(pos_embed_1LD.dtype)
