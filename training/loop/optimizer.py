"""AdamW with a learning rate for each depth, and no decay of what only shifts or scales, as in DINOv2."""

import re
from typing import Any

import torch
from torch import nn

from training.loop.schedules import Values
from training.params import OptimParams

TOKENS = ("cls_token", "reg_token", "mask_token", "pos_embed")
"""They enter with the patches, and decay as matrices do."""
BLOCK = re.compile(r"\.blocks\.(\d+)\.")


def depth_of(name: str, depth: int) -> int:
    """Return 0 for what comes before the blocks, 1 … depth for blocks, depth + 1 for what comes after."""
    block = BLOCK.search(name)
    if block:
        return int(block.group(1)) + 1
    return 0 if "patch_embed" in name or name.endswith(TOKENS) else depth + 1


def parameter_groups(model: nn.Module, params: OptimParams, depth: int) -> list[dict[str, Any]]:
    """Group parameters by learning-rate factor and decay; every parameter is in exactly one group."""
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        factor = params.layer_decay ** (depth + 1 - depth_of(name, depth))
        factor *= params.patch_lr if "patch_embed" in name else 1.0
        decay = 1.0 if parameter.ndim > 1 or name.endswith(TOKENS) else 0.0
        of_backbone = bool(params.freeze_backbone) and name.startswith("backbone.")
        groups.setdefault((factor, decay, of_backbone), []).append(parameter)
    return [
        {"params": members, "lr_factor": factor, "decay_factor": decay, "of_backbone": of_backbone}
        for (factor, decay, of_backbone), members in groups.items()
    ]


def adamw(model: nn.Module, params: OptimParams, depth: int) -> torch.optim.AdamW:
    """Return the optimizer; `apply` sets its learning rates before each step."""
    return torch.optim.AdamW(
        parameter_groups(model, params, depth), lr=0.0, betas=params.betas, weight_decay=0.0, fused=True
    )


def apply(values: Values, optimizer: torch.optim.Optimizer) -> None:
    """Set the learning rate and weight decay of every group for the coming step."""
    for group in optimizer.param_groups:
        share = values.backbone_lr if group.get("of_backbone") else 1.0  # older checkpoints' groups do not say
        group["lr"] = values.lr * group["lr_factor"] * share
        group["weight_decay"] = values.weight_decay * group["decay_factor"]
