"""Stochastic depth by subsets: which images a branch of a block leaves out, and so does not compute.

In DINOv2 each process keeps a random subset of its batch. Here each group of `koleo_group` images does, as a
function of (seed, step, group): the same images are skipped by any number of processes and after a resume, and
the number kept is the same in every step, so that shapes are static.

Shapes: G crops of one size in a group; C branches, two in a block.
"""

import numpy as np
import torch
from torch import Tensor

from training.params import ModelParams, PretrainParams

SKIPPING = 2
"""Tells this stream from those of the order and the mask ratios."""

Skips = list[list[Tensor]]
"""Branch (attention and MLP of each block, in turn) → crop size → the images that it works on."""


def skip_rates(model: ModelParams) -> list[float]:
    """Return the share of images that each block leaves out."""
    if model.drop_path_rule == "uniform":
        return [model.drop_path] * model.depth
    return [model.drop_path * block / max(1, model.depth - 1) for block in range(model.depth)]


def kept_of_group(crops: int, rate: float) -> int:
    """Return on how many of a group's crops of one size a branch works."""
    return max(1, int(crops * (1 - rate)))


def draw_skips(params: PretrainParams, step: int, first: int, images: int, device: torch.device) -> Skips | None:
    """Return what the branches work on for images first … first + images of a step's batch; None = all of it."""
    if not params.model.drop_path:
        return None
    group = params.objective.koleo_group
    counts = [count for count, _ in params.crops.sizes]
    rates = [rate for rate in skip_rates(params.model) for _ in range(2)]
    chosen: list[list[list[np.ndarray]]] = [[[] for _ in counts] for _ in rates]
    for start in range(0, images, group):
        rng = np.random.default_rng((params.seed, step, SKIPPING, (first + start) // group))
        for size, count in enumerate(counts):
            order_CG = rng.random((len(rates), count * group)).argsort(axis=1)
            for branch, rate in enumerate(rates):
                members = order_CG[branch, : kept_of_group(count * group, rate)]
                chosen[branch][size].append(members // group * images + start + members % group)
    parts = [np.sort(np.concatenate(size)) for branch in chosen for size in branch]
    images_K = torch.from_numpy(np.concatenate(parts)).to(device, non_blocking=True)
    split = torch.tensor_split(images_K, np.cumsum([len(part) for part in parts])[:-1].tolist())
    return [list(split[i : i + len(counts)]) for i in range(0, len(split), len(counts))]
