"""Stochastic depth (drop path) by subsets: which images a branch of a block leaves out, and so does not compute.

In DINOv2 each process keeps a random subset of its batch. Here each group of `koleo_group` images does, as a
function of (seed, step, group): the same images are skipped by any number of processes and after a resume, and
the number kept is the same in every step, so that shapes are static. Crops of several sizes are packed into one list
of tokens; what a branch keeps is a part of it.

Shapes: G crops of one size in a group; C branches, two in a block; L tokens of all crops, size after size, image
after image; K tokens that a branch keeps; T tokens of an image; R tokens that somebody reads; D width.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.distributed import to_device
from training.params import ModelParams, PretrainParams

DROP_PATH = 2
"""Tells these random numbers from those of the order and the mask ratios."""

DropPathSubsets = list[list[Tensor]]
"""Branch (attention and MLP of each block, in turn) → crop size → the images that it works on."""


class Packing(NamedTuple):
    """How many images of each crop size there are, and how many tokens each of them has."""

    images: tuple[int, ...]
    tokens: tuple[int, ...]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each size together."""
        return [images * tokens for images, tokens in zip(self.images, self.tokens, strict=True)]

    @property
    def starts(self) -> list[int]:
        """First token of each size."""
        return [sum(self.lengths[:size]) for size in range(len(self.images))]

    def first_tokens(self, device: torch.device) -> Tensor:
        """Return where the CLS token of every image stands."""
        sizes = zip(self.starts, self.lengths, self.tokens, strict=True)
        return torch.cat([torch.arange(start, start + length, step, device=device) for start, length, step in sizes])

    def patches(self, indices_M: Tensor, prefix: int) -> Tensor:
        """Return where patches of the first size stand; indices count through its images' patches alone."""
        patches = self.tokens[0] - prefix
        return indices_M // patches * self.tokens[0] + prefix + indices_M % patches


class KeptTokens(NamedTuple):
    """The images that a branch does not skip, and how much more they count for it."""

    rows: Tensor
    """rows_K: where their tokens stand in the whole list."""
    factor: Tensor
    """factor_K1: images over kept images of the size, so that what a branch adds is expected to be the same."""
    packing: Packing
    """How their tokens lie by themselves."""

    @classmethod
    def of(cls, subsets: DropPathSubsets, packing: Packing) -> "list[KeptTokens | None]":
        """Return what each branch keeps, or None when that is everything; made together, in a handful of kernels."""
        counts = np.array([[len(images) for images in branch] for branch in subsets])
        images_I = torch.cat([images for branch in subsets for images in branch])
        tokens_I, start_I = (
            np.repeat(np.tile(of, len(counts)), counts.flat) for of in (packing.tokens, packing.starts)
        )
        origin_I = start_I - (tokens_I.cumsum() - tokens_I)  # less the rows before: a running number is added
        factor_I = np.repeat((np.array(packing.images) / counts).flat, counts.flat).astype(np.float32)
        device, total = images_I.device, int(tokens_I.sum())
        repeats_I, first_I, more_I = (to_device(array, device) for array in (tokens_I, origin_I, factor_I))
        rows = torch.repeat_interleave(first_I + images_I * repeats_I, repeats_I, output_size=total)
        rows += torch.arange(total, device=device)
        factors = torch.repeat_interleave(more_I, repeats_I, output_size=total).unsqueeze(1)
        lengths = (counts * packing.tokens).sum(axis=1).tolist()
        kept = [tuple(of) for of in counts.tolist()]
        return [
            None if images == packing.images else cls(rows_K, factor_K1, Packing(images, packing.tokens))
            for rows_K, factor_K1, images in zip(
                torch.split(rows, lengths), torch.split(factors, lengths), kept, strict=True
            )
        ]

    def reading(self, rows_R: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Return, for tokens of the whole list, their rows among the kept ones and factor_R1, 0 where skipped."""
        row_L = torch.zeros(length, dtype=torch.long, device=rows_R.device)
        row_L[self.rows] = torch.arange(len(self.rows), device=rows_R.device)
        factor_L1 = torch.zeros(length, 1, device=rows_R.device)
        factor_L1[self.rows] = self.factor
        return row_L[rows_R], factor_L1[rows_R]


def drop_path_rates(model: ModelParams) -> list[float]:
    """Return the share of images that each block leaves out."""
    if model.drop_path_rule == "uniform":
        return [model.drop_path] * model.depth
    return [model.drop_path * block / max(1, model.depth - 1) for block in range(model.depth)]


def kept_of_group(crops: int, rate: float) -> int:
    """Return on how many of a group's crops of one size a branch works."""
    return max(1, int(crops * (1 - rate)))


def draw_drop_path(
    params: PretrainParams, step: int, first: int, images: int, device: torch.device
) -> DropPathSubsets | None:
    """Return what the branches work on for images first … first + images of a step's batch; None = all of it."""
    if not params.model.drop_path:
        return None
    group = params.objective.koleo_group
    counts = [count for count, _ in params.crops.sizes]
    rates = [rate for rate in drop_path_rates(params.model) for _ in range(2)]
    chosen: list[list[list[np.ndarray]]] = [[[] for _ in counts] for _ in rates]
    for start in range(0, images, group):
        rng = np.random.default_rng((params.seed, step, DROP_PATH, (first + start) // group))
        for size, count in enumerate(counts):
            order_CG = rng.random((len(rates), count * group)).argsort(axis=1)
            for branch, rate in enumerate(rates):
                members = order_CG[branch, : kept_of_group(count * group, rate)]
                chosen[branch][size].append(members // group * images + start + members % group)
    parts = [np.sort(np.concatenate(size)) for branch in chosen for size in branch]
    images_K = to_device(np.concatenate(parts), device)
    split = torch.tensor_split(images_K, np.cumsum([len(part) for part in parts])[:-1].tolist())
    return [list(split[i : i + len(counts)]) for i in range(0, len(split), len(counts))]
