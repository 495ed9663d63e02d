"""Builds the frozen models that a request names, from the run's own copy once there is one."""

from pathlib import Path

import torch
from torch import nn

from shared.errors import RecipeError
from training.distributed import DistributedContext
from training.model.frozen import CentredHead, FrozenModels, FrozenTeacher, PlainHead
from training.model.student_teacher import DinoHead
from training.model.vit import Backbone
from training.params import ModelParams, PretrainParams
from training.runs.run_folder import RunFolder
from training.weights import Weights, read_weights

FOLDER = "frozen"
"""In a run's folder: a run goes on when the files that it was guided by are gone."""


def frozen_models(params: PretrainParams, context: DistributedContext, folder: RunFolder) -> FrozenModels:
    """Return the frozen models of a run, on its device. Raises as `read_weights` does, before any work."""
    distil, gram = params.objective.distil, params.objective.gram
    teacher = anchor = None
    if distil:
        weights = _kept(folder, "teacher", distil.teacher, context)
        teacher = _teacher(weights, params).to(context.device)
        if context.leads:
            print(f"distils from  {weights.title}, {_parameters(teacher.backbone):,.1f} M parameters", flush=True)
    if gram:
        weights = _kept(folder, "gram", gram.teacher or params.start, context)
        anchor = _backbone(weights, params).to(context.device)
    return FrozenModels(teacher, anchor, params.model.patch_size)


def _kept(folder: RunFolder, name: str, spec: str, context: DistributedContext) -> Weights:
    """Return the run's own copy of the weights; where there is none, read them, and let rank 0 keep a copy."""
    path = folder.path / FOLDER / f"{name}.pt"
    if path.is_file():
        return _read(path)
    weights = read_weights(spec)
    if context.leads:
        _write(path, weights)
    return weights


def _read(path: Path) -> Weights:
    whole = torch.load(path, map_location="cpu", weights_only=True)
    return Weights(**whole | {"model": ModelParams.model_validate(whole["model"])})


def _write(path: Path, weights: Weights) -> None:
    draft = path.with_name(f".tmp-{path.name}")
    draft.parent.mkdir(parents=True, exist_ok=True)
    names = ("title", "image_size", "vit", "mask_token", "heads", "mean", "std")
    torch.save({name: getattr(weights, name) for name in names} | {"model": weights.model.model_dump()}, draft)
    draft.rename(path)


def _backbone(weights: Weights, params: PretrainParams) -> Backbone:
    side = params.crops.global_size // params.model.patch_size
    backbone = weights.in_our_colours().at(side * weights.model.patch_size).backbone()
    return backbone.requires_grad_(False)


def _teacher(weights: Weights, params: PretrainParams) -> FrozenTeacher:
    objective, width = params.objective, weights.model.width
    heads: list[nn.Module]
    if objective.by_features:
        centred = objective.distil is not None and objective.distil.centred
        heads = [CentredHead(width), CentredHead(width)] if centred else [PlainHead()]
    else:
        heads = _own_heads(weights, params) or [CentredHead(width, count) for _, count in objective.head_shapes]
    return FrozenTeacher(_backbone(weights, params), heads, params.model.patch_size)


def _own_heads(weights: Weights, params: PretrainParams) -> list[nn.Module]:
    """Return the heads that came with a teacher. Raises RecipeError where the student has other numbers of classes."""
    heads: list[nn.Module] = []
    for name, (_, wanted) in zip(("head", "patch_head"), params.objective.head_shapes, strict=True):
        state = {k.removeprefix(f"{name}."): v for k, v in weights.heads.items() if k.startswith(f"{name}.")}
        if not state:
            return []
        count, bottleneck = state["prototypes.weight"].shape
        if count != wanted:
            raise RecipeError(
                f"Distillation needs as many prototypes as the teacher {weights.title} has, {count:,} in its "
                f"{name.replace('_', ' ')}, got {wanted:,}. Set training.objective.prototypes and patch_prototypes."
            )
        head = DinoHead(weights.model.width, len(state["mlp.0.bias"]), bottleneck, count)
        head.load_state_dict(state)
        heads.append(head)
    return heads


def _parameters(backbone: Backbone) -> float:
    return sum(p.numel() for p in backbone.parameters()) / 1e6
