"""A run that starts from weights instead of chance: what must fit, what is brought along, what that makes of the run.

Shapes: D width, C colours, P × P pixels of a patch.
"""

import torch
from torch import Tensor

from shared.errors import RecipeError
from training.model.student_teacher import Student
from training.model.vit import COLOUR_MEAN, COLOUR_STD, ffn_columns
from training.params import ModelParams, PretrainParams
from training.weights import Weights
from training.weights.positions import as_ours

SHAPE = ("patch_size", "width", "depth", "heads", "ffn")


def start_from(weights: Weights, student: Student, params: PretrainParams) -> list[str]:
    """Give the student these weights, for the run's image size; return what of it is left to chance.

    Heads and the mask token are taken where the origin has them and they fit; registers where it has as many.
    Raises RecipeError for another architecture.
    """
    _check_shape(weights, params.model)
    weights = weights.at(params.crops.global_size)
    vit, backbone, fresh = _for_our_colours(weights), student.backbone, []
    if params.model.registers and not weights.model.registers:
        vit = as_ours(vit | {"reg_token": backbone.vit.reg_token.detach()}, weights.title)
        fresh.append("registers")
    backbone.vit.load_state_dict(vit)
    if weights.mask_token is not None:
        backbone.mask_token.data.copy_(weights.mask_token)
    else:
        fresh.append("mask token")
    for name, head in (("head", student.head), ("patch_head", student.patch_head)):
        if head is not None and not _copied(head.state_dict(), weights.heads, f"{name}."):
            fresh.append(name.replace("_", " "))
    return fresh


def _copied(ours: dict[str, Tensor], theirs: dict[str, Tensor], prefix: str) -> bool:
    """Copy a whole head into ours, which shares the module's memory, if it is there and fits."""
    present = {name: theirs[prefix + name] for name in ours if prefix + name in theirs}
    fits = present.keys() == ours.keys() and all(present[name].shape == ours[name].shape for name in ours)
    for name, tensor in present.items() if fits else ():
        ours[name].copy_(tensor)
    return fits


def _check_shape(weights: Weights, ours: ModelParams) -> None:
    theirs = weights.model
    mismatches = {name: getattr(theirs, name) for name in SHAPE if getattr(theirs, name) != getattr(ours, name)}
    if not mismatches and ffn_columns(theirs) != ffn_columns(ours):
        mismatches["mlp_ratio"] = theirs.mlp_ratio
    if bool(theirs.layer_scale) != bool(ours.layer_scale):
        mismatches["layer_scale"] = theirs.layer_scale
    if theirs.registers not in (0, ours.registers):
        mismatches["registers"] = theirs.registers
    if mismatches:
        listed = ", ".join(
            f"model.{name} {getattr(ours, name)} here and {value} there" for name, value in mismatches.items()
        )
        settings = ", ".join(f"training.model.{name}={value}" for name, value in mismatches.items())
        raise RecipeError(
            f"training.start needs the architecture of {weights.title}, got another: {listed}. Set {settings}."
        )


def _for_our_colours(weights: Weights) -> dict[str, Tensor]:
    """Return the weights for pixels normalised as ours: the difference goes into the patch embedding, exactly."""
    mean_C, std_C, their_mean_C, their_std_C = map(torch.tensor, (COLOUR_MEAN, COLOUR_STD, weights.mean, weights.std))
    scale_C, shift_C = std_C / their_std_C, (mean_C - their_mean_C) / their_std_C
    kernel_DCPP = weights.vit["patch_embed.proj.weight"]
    bias_D = weights.vit["patch_embed.proj.bias"] + kernel_DCPP.sum(dim=(2, 3)) @ shift_C
    changed = {
        "patch_embed.proj.weight": kernel_DCPP * scale_C.view(1, -1, 1, 1),
        "patch_embed.proj.bias": bias_D,
    }
    return weights.vit | changed
