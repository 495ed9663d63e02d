"""From the shapes of a vision transformer's weights to the model that takes them."""

import re

import torch
from torch import Tensor

from shared.errors import RecipeError
from training.model.vit import Backbone, ffn_columns
from training.params import ModelParams
from training.weights.positions import as_ours, grid_side
from training.weights.weights import Weights

NEEDED = (
    "patch_embed.proj.weight",
    "cls_token",
    "pos_embed",
    "blocks.0.attn.qkv.weight",
    "blocks.0.mlp.fc1.weight",
    "blocks.0.mlp.fc2.weight",
    "norm.weight",
)
UNDERSTOOD = (
    "Understood are ViTs of dinov2, timm and transformers' Dinov2Model with a class token, learned positions of a "
    "square grid, an MLP or packed SwiGLU, with or without registers and LayerScale"
)
HEAD_WIDTH = 64
"""Numbers of an attention head in every published ViT-S, B, L and g; the weights themselves do not tell."""
NAMED = 6


def assembled(
    title: str,
    vit: dict[str, Tensor],
    heads: int | None = None,
    mask_token: Tensor | None = None,
) -> Weights:
    """Return weights from tensors under timm's names, of any number format. Raises RecipeError for other models.

    What shapes cannot tell is taken to be as in DINOv2: GELU or SiLU, and 1e-6 in the norms.
    """
    absent = [name for name in NEEDED if name not in vit]
    if absent:
        raise foreign(title, absent, [name for name in vit if not name.startswith("blocks.")])
    vit = as_ours({name: tensor.float() for name, tensor in vit.items()}, title)
    model = _architecture(title, vit, heads)
    image_size = grid_side(vit["pos_embed"], 0 if model.registers else 1) * model.patch_size
    check_takes(title, model, image_size, vit)
    if mask_token is not None:
        mask_token = mask_token.float().reshape(model.width)
    return Weights(title, model, image_size, vit, mask_token)


def check_takes(title: str, model: ModelParams, image_size: int, vit: dict[str, Tensor]) -> None:
    """Raise RecipeError unless the model takes exactly these weights."""
    with torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in Backbone(model, image_size).vit.state_dict().items()}
    given = {name: tensor.shape for name, tensor in vit.items()}
    if wanted.keys() != given.keys():
        raise foreign(title, sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys()))
    other = [f"{name} {list(given[name])} for {list(shape)}" for name, shape in wanted.items() if given[name] != shape]
    if other:
        raise RecipeError(f"{title} needs blocks that are all alike, got {_some(other)}. {UNDERSTOOD}.")


def foreign(title: str, absent: list[str], unexpected: list[str]) -> RecipeError:
    """Return the error for weights of another kind of model."""
    reasons = [f"lacks {_some(absent)}"] if absent else []
    reasons += [f"has {_some(unexpected)}, which nothing takes"] if unexpected else []
    return RecipeError(
        f"{title} needs the weights of a vision transformer that is understood, got a file that "
        f"{' and '.join(reasons)}. {UNDERSTOOD}."
    )


def _architecture(title: str, vit: dict[str, Tensor], heads: int | None) -> ModelParams:
    shape = list(vit["patch_embed.proj.weight"].shape)
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
        raise RecipeError(f"{title} needs square patches of 3 colours, got patch_embed.proj.weight {shape}.")
    width, _, patch, _ = shape
    if heads is None and width % HEAD_WIDTH:
        raise RecipeError(
            f"{title} needs to say how many attention heads it has, as its width {width} is no multiple of "
            f"{HEAD_WIDTH}. Give a folder with a config.json that says it, as timm and transformers write them."
        )
    columns, hidden = len(vit["blocks.0.mlp.fc1.weight"]), vit["blocks.0.mlp.fc2.weight"].shape[1]
    model = ModelParams(
        patch_size=patch,
        width=width,
        depth=1 + max(int(number) for name in vit for number in re.findall(r"^blocks\.(\d+)\.", name)),
        heads=heads or width // HEAD_WIDTH,
        ffn="mlp" if columns == hidden else "swiglu",
        registers=vit["reg_token"].shape[1] if "reg_token" in vit else 0,
        layer_scale=ModelParams().layer_scale if "blocks.0.ls1.gamma" in vit else 0,
    )
    return _with_columns(title, model, columns)


def _with_columns(title: str, model: ModelParams, columns: int) -> ModelParams:
    """Return the model with the ratio whose feed-forward layers have so many columns; 4 where that is one."""
    exact = columns / model.width * (0.75 if model.ffn == "swiglu" else 1)
    for ratio in (4.0, exact, exact + 0.25 / model.width):  # the last: products are rounded down
        candidate = model.model_copy(update={"mlp_ratio": ratio})
        if ffn_columns(candidate) == columns:
            return candidate
    raise RecipeError(f"{title} needs gates in multiples of 8, got feed-forward layers of {columns} columns.")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
