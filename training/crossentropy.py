"""Prototype scores, softmax and cross-entropy as one step with its own gradient, in chunks of prototypes.

Shapes: R student rows, E bottleneck, K prototypes, k of one chunk; each goal is for some of the rows.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.chunks import Chunks, products

LEAST_NORM = 1e-6


class Goal(NamedTuple):
    """What consecutive student rows are compared with."""

    targets: Chunks
    """Rows that sum to 1."""
    spread: Callable[[Tensor], Tensor]
    """Turns target_Bk into goal_Rk: sums of some targets for each student row."""
    mass: Tensor
    """mass_R: how many targets each row's goal is the sum of."""


def product_dtype(x: Tensor) -> torch.dtype:
    """Return the number format in which the present autocast would multiply a tensor."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def cross_entropy(z_RE: Tensor, prototypes_KE: Tensor, goals: list[Goal], temperature: float) -> Tensor:
    """Return entropy_R of rows of unit length against prototypes of any length; goals follow one another in rows.

    The slow form:

        for r in range(R):
            scores = z[r] @ normalised(prototypes).T
            entropy[r] = -(goal[r] · log_softmax(scores / temperature))
    """
    entropy_R: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        z_RE, prototypes_KE, goals, temperature, product_dtype(z_RE)
    )
    return entropy_R


def _parts(goals: list[Goal], number: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield the rows and the chunk of each goal."""
    start = 0
    for goal in goals:
        rows = slice(start, start + len(goal.mass))
        yield rows, goal.spread(goal.targets.at(number))
        start = rows.stop


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z_RE: Tensor, raw_KE: Tensor, goals: list[Goal], temperature: float, dtype: torch.dtype
    ) -> Tensor:
        with torch.autocast(z_RE.device.type, enabled=False):
            norm_K1 = torch.linalg.vector_norm(raw_KE, dim=1, keepdim=True).clamp_min_(LEAST_NORM)
            unit_KE, sharp_RE = (raw_KE / norm_K1).to(dtype), (z_RE / temperature).to(dtype)
            scores = products(sharp_RE, unit_KE)
            wanted_R, log_R = torch.zeros_like(z_RE[:, 0]), torch.full_like(z_RE[:, 0], -torch.inf)
            for number in range(len(scores.slices)):
                scores_Rk = scores.at(number)
                for rows, goal_Rk in _parts(goals, number):
                    wanted_R[rows] += torch.linalg.vecdot(goal_Rk, scores_Rk[rows])
                log_R = torch.logaddexp(log_R, scores_Rk.logsumexp(dim=1))
            mass_R = torch.cat([goal.mass for goal in goals])
        ctx.save_for_backward(raw_KE, norm_K1, unit_KE, sharp_RE, log_R, mass_R)
        ctx.scores, ctx.goals, ctx.temperature = scores, goals, temperature
        return mass_R * log_R - wanted_R

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient_R: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        raw_KE, norm_K1, unit_KE, sharp_RE, log_R, mass_R = ctx.saved_tensors
        of_z_RE, of_raw_KE = torch.zeros_like(sharp_RE, dtype=log_R.dtype), torch.empty_like(raw_KE)
        for number, columns in enumerate(ctx.scores.slices):
            slope_Rk = ctx.scores.take(number).sub_(log_R.unsqueeze(1)).exp_().mul_((gradient_R * mass_R).unsqueeze(1))
            for rows, goal_Rk in _parts(ctx.goals, number):
                slope_Rk[rows].addcmul_(goal_Rk, gradient_R[rows].unsqueeze(1), value=-1)
            slope_Rk = slope_Rk.to(unit_KE.dtype)
            of_z_RE += slope_Rk @ unit_KE[columns]
            of_unit_kE = of_raw_KE[columns].copy_(slope_Rk.T @ sharp_RE)
            raw_kE, norm_k1 = raw_KE[columns], norm_K1[columns]
            along_k1 = torch.linalg.vecdot(of_unit_kE, raw_kE).unsqueeze(1) / norm_k1.square()
            of_unit_kE.addcmul_(along_k1, raw_kE, value=-1).div_(norm_k1)
        return of_z_RE / ctx.temperature, of_raw_KE, None, None, None
