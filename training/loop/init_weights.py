"""A run that starts from weights instead of chance: what must fit, and what is brought along."""

from dataclasses import replace

from torch import Tensor

from shared.errors import RecipeError
from training.loop.schedules import peak_lr
from training.model.cut import cut_out, evenly, uncuttable
from training.model.student_teacher import Student
from training.model.vit import ffn_columns
from training.params import ModelParams, OptimParams, PretrainParams
from training.weights import Weights
from training.weights.positions import as_ours

ROUNDED = 0.01
"""A rate that is this share above a limit was rounded."""
SHAPE = ("patch_size", "width", "depth", "heads", "ffn")


def start_from(weights: Weights, student: Student, params: PretrainParams) -> list[str]:
    """Give the student these weights, for the run's image size; return what of it is left to chance.

    Heads and the mask token are taken where the origin has them and they fit; registers where it has as many.
    Raises RecipeError for another architecture, and for a learning rate that would undo what the weights know.
    """
    weights = _cut(weights, params)
    _check_shape(weights, params.model)
    _check_rate(weights, params.optim)
    weights = weights.at(params.crops.global_size)
    vit, backbone, fresh = weights.in_our_colours().vit, student.backbone, []
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


def _cut(weights: Weights, params: PretrainParams) -> Weights:
    """Return the weights cut to the run's shape where that is asked for."""
    if params.start_cut == "none":
        return weights
    theirs, ours = weights.model, params.model
    reasons = uncuttable(theirs, ours)
    if reasons:
        raise RecipeError(
            f"training.start_cut needs a model that fits into {weights.title}: {'; '.join(reasons)}. Make the model "
            "smaller, or take larger weights."
        )
    shape = {name: getattr(ours, name) for name in ("width", "depth", "heads", "mlp_ratio")}
    return replace(
        weights,
        model=theirs.model_copy(update=shape),
        vit=cut_out(weights.vit, theirs, ours, params.start_cut),
        mask_token=None if weights.mask_token is None else weights.mask_token[evenly(theirs.width, ours.width)],
    )


def _check_rate(weights: Weights, params: OptimParams) -> None:
    limit, peak = max(params.start_lr_limit, weights.peak_lr or 0.0), peak_lr(params)
    if not params.start_lr_limit or peak <= limit * (1 + ROUNDED):
        return
    known = f"they were trained with {weights.peak_lr:.3g}" if weights.peak_lr else "that published weights stand"
    raise RecipeError(
        f"training.start needs a peak learning rate of {limit:.3g} or less ({known}), got {peak:.3g}: it would undo "
        f"what {weights.title} knows within some steps. Set training.optim.lr={params.lr * limit / peak:.3g}, or take "
        "the recipe `adapt`; training.optim.start_lr_limit=0 lifts the limit."
    )


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
            f"training.start needs the architecture of {weights.title}, got another: {listed}. Set {settings}, or let "
            "training.start_cut cut a smaller model out of larger weights."
        )
