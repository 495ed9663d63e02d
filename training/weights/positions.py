"""Position embeddings: where each origin keeps those of the CLS and register tokens.

Shapes: pos_embed_1LD with L = prefix + side², the patches row by row.
"""

from math import isqrt

from torch import Tensor, cat

from shared.errors import RecipeError


def grid_side(pos_embed_1LD: Tensor, prefix: int) -> int:
    """Return how many patches lie along a side."""
    return isqrt(pos_embed_1LD.shape[1] - prefix)


def as_ours(vit: dict[str, Tensor], who: str) -> dict[str, Tensor]:
    """Return the weights with positions as our model keeps them; what the model computes stays the same.

    Without registers CLS has a position of its own. With registers neither it nor they have: DINOv2 then gives CLS
    one, which is added to the token here, and so do older models of timm's to the registers. Raises RecipeError for
    a grid that is not square.
    """
    pos_embed, cls, registers = vit["pos_embed"], vit["cls_token"], vit.get("reg_token")
    count = 0 if registers is None else registers.shape[1]
    prefixes = (0, 1, 1 + count) if count else (1, 0)
    length = pos_embed.shape[1]
    prefix = next((p for p in prefixes if length > p and isqrt(length - p) ** 2 == length - p), None)
    if prefix is None:
        raise RecipeError(f"{who} needs positions of a square grid of patches, got {length} of them in pos_embed.")
    if registers is None or not count:
        vit = {name: tensor for name, tensor in vit.items() if name != "reg_token"}
        return vit if prefix else vit | {"pos_embed": cat([0 * pos_embed[:, :1], pos_embed], dim=1)}
    changed = {"pos_embed": pos_embed[:, prefix:].contiguous()}
    if prefix:
        changed["cls_token"] = cls + pos_embed[:, :1]
    if prefix > 1:
        changed["reg_token"] = registers + pos_embed[:, 1:prefix]
    return vit | changed
