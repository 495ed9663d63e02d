"""Prototype scores, softmax and cross-entropy as one step with its own gradient, in chunks of prototypes.

Shapes: R student rows, E bottleneck, K prototypes, k of one chunk; each goal is for some of the rows.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.loss.chunked_logits import Chunks, Prototypes


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
            prototypes, sharp_RE = Prototypes.of(raw_KE, dtype), (z_RE / temperature).to(dtype)
            scores = prototypes.scores(sharp_RE)
            wanted_R, total_R = (torch.zeros_like(z_RE[:, 0]) for _ in range(2))
            room_Rk = scores.at(0).new_empty(scores.at(0).shape)
            for number in range(len(scores.slices)):
                scores_Rk = scores.at(number)
                for rows, goal_Rk in _parts(goals, number):
                    wanted_R[rows] += torch.linalg.vecdot(goal_Rk, scores_Rk[rows])
                total_R += torch.exp(scores_Rk, out=room_Rk[:, : scores_Rk.shape[1]]).sum(dim=1)
            mass_R = torch.cat([goal.mass for goal in goals])
        ctx.save_for_backward(raw_KE, *prototypes, sharp_RE, mass_R / total_R)
        ctx.scores, ctx.goals, ctx.temperature = scores, goals, temperature
        return mass_R * total_R.log() - wanted_R

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_entropy_R: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        raw_KE, weight_KE, length_K, sharp_RE, share_R = ctx.saved_tensors
        of_z_RE, of_raw_KE = torch.zeros_like(sharp_RE, dtype=length_K.dtype), torch.empty_like(raw_KE)
        for number, columns in enumerate(ctx.scores.slices):
            of_score_Rk = ctx.scores.take(number).exp_().mul_((of_entropy_R * share_R).unsqueeze(1))
            for rows, goal_Rk in _parts(ctx.goals, number):
                of_score_Rk[rows].addcmul_(goal_Rk, of_entropy_R[rows].unsqueeze(1), value=-1)
            slope_Rk = of_score_Rk.div_(length_K[columns]).to(weight_KE.dtype)
            of_z_RE += slope_Rk @ weight_KE[columns]
            _write_across(slope_Rk.T @ sharp_RE, raw_KE[columns], length_K[columns], of_raw_KE[columns])
        return of_z_RE / ctx.temperature, of_raw_KE, None, None, None


def _write_across(slope_kE: Tensor, raw_kE: Tensor, length_k: Tensor, out_kE: Tensor) -> None:
    """Write the slope without its part along each prototype, which would only change a length."""
    slope_kE = slope_kE.to(raw_kE.dtype)
    along_k = torch.linalg.vecdot(slope_kE, raw_kE) / length_k.square()
    torch.addcmul(slope_kE, along_k.unsqueeze(1), raw_kE, value=-1, out=out_kE)
