"""A smaller vision transformer made of parts of a larger one: weight selection (Xu et al. 2024).

Some blocks are kept whole in number, and of what is kept evenly spaced channels, heads and hidden units, the same
channels everywhere, so that every layer of the smaller model still reads what the layer before it wrote.

Shapes: D and d channels of a token, H and h heads of E numbers, there and here.
"""

from typing import Literal

import torch
from torch import Tensor

from training.model.vit import ffn_columns
from training.params import ModelParams

Cut = Literal["first", "even"]
"""Which blocks are kept: the first, or evenly spaced."""
BY_CHANNEL = ("cls_token", "reg_token", "pos_embed", "norm.weight", "norm.bias")
"""Tensors whose last axis is the channels; those of a block are in `_block`."""


def uncuttable(theirs: ModelParams, ours: ModelParams) -> list[str]:
    """Return why ours cannot be cut out of theirs, each as `what it needs, and what it has`; nothing where it can."""
    sizes = {name: (getattr(theirs, name), getattr(ours, name)) for name in ("depth", "width", "heads")}
    if theirs.ffn == ours.ffn:
        sizes["mlp_ratio, in outputs of the first layer,"] = ffn_columns(theirs), ffn_columns(ours)
    reasons = [f"model.{name} {there} or less, got {here}" for name, (there, here) in sizes.items() if here > there]
    wide = theirs.width // theirs.heads
    if ours.width != ours.heads * wide:
        reasons.append(
            f"heads of {wide} channels as there, got model.width {ours.width} with model.heads {ours.heads}: "
            f"{ours.heads} heads go with a width of {ours.heads * wide}"
        )
    return reasons


def cut_out(vit: dict[str, Tensor], theirs: ModelParams, ours: ModelParams, blocks: Cut) -> dict[str, Tensor]:
    """Return the tensors of a model of our shape, of those of one that is as large or larger; the same where equal."""
    channels_d = evenly(theirs.width, ours.width)
    kept = evenly(theirs.depth, ours.depth).tolist() if blocks == "even" else range(ours.depth)
    cut = {name: vit[name][..., channels_d] for name in BY_CHANNEL if name in vit}
    cut |= {name: tensor[channels_d] for name, tensor in vit.items() if name.startswith("patch_embed.proj.")}
    for here, there in enumerate(kept):
        block = {name: vit[f"blocks.{there}.{name}"] for name in _names_in_block(vit)}
        cut |= {f"blocks.{here}.{name}": tensor for name, tensor in _block(block, theirs, ours, channels_d).items()}
    return cut


def evenly(there: int, here: int) -> Tensor:
    """Return `here` of `there` numbers from 0, evenly spaced; all of them where they are as many."""
    return torch.arange(here) * there // here


def _names_in_block(vit: dict[str, Tensor]) -> list[str]:
    return [name.removeprefix("blocks.0.") for name in vit if name.startswith("blocks.0.")]


def _block(block: dict[str, Tensor], theirs: ModelParams, ours: ModelParams, channels_d: Tensor) -> dict[str, Tensor]:
    """Return a block's tensors: what is read by column, what is written by row."""
    attended = _attended(theirs, ours)
    queries_keys_values = torch.cat([attended, attended + theirs.width, attended + 2 * theirs.width])
    first, hidden = _hidden(theirs, ours)
    rows = {"attn.qkv": queries_keys_values, "attn.proj": channels_d, "mlp.fc1": first, "mlp.fc2": channels_d}
    columns = {"attn.qkv": channels_d, "attn.proj": attended, "mlp.fc1": channels_d, "mlp.fc2": hidden}
    cut = {}
    for name, tensor in block.items():
        layer = name.rpartition(".")[0]
        tensor = tensor[rows.get(layer, channels_d)]  # norms and LayerScale have a number for each channel
        cut[name] = tensor[:, columns[layer]] if tensor.ndim > 1 else tensor
    return cut


def _attended(theirs: ModelParams, ours: ModelParams) -> Tensor:
    """Return which numbers of all heads' outputs are kept: whole heads."""
    wide = theirs.width // theirs.heads
    return (evenly(theirs.heads, ours.heads).unsqueeze(1) * wide + torch.arange(wide)).flatten()


def _hidden(theirs: ModelParams, ours: ModelParams) -> tuple[Tensor, Tensor]:
    """Return which outputs of the first feed-forward layer are kept, and which inputs of the second.

    With a gate the first layer's outputs are all gates, then all values.
    """
    there, here = ffn_columns(theirs), ffn_columns(ours)
    if theirs.ffn == "mlp":
        return (units := evenly(there, here)), units
    units = evenly(there // 2, here // 2)
    return torch.cat([units, units + there // 2]), units
