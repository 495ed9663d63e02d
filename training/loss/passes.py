"""Passes over scores that compiled steps make into one kernel each.

Shapes: B rows of the teacher, R of the student, k prototypes of one chunk; inverse_k of their lengths.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.loss.targets import sums_over_other_views

TargetFactors = tuple[Tensor, Tensor, Tensor, Tensor]
"""scores_Bk, inverse_k, row_B, column_k."""
ViewCounts = tuple[int, int] | None
"""Global crops, all crops: a row's target is the sum over other views' targets; None = each row has its own."""


class Passes(NamedTuple):
    """What is compiled."""

    column_sums: Callable[[Tensor, Tensor, Tensor], Tensor]
    """scores_Bk, inverse_k, row_B → row · exp(scores)."""
    row_sums: Callable[[Tensor, Tensor, Tensor], Tensor]
    """scores_Bk, inverse_k, column_k → exp(scores) · column."""
    entropy: Callable[..., tuple[Tensor, Tensor]]
    """scores_Rk, inverse_k, what makes targets, views → sums of exp(scores) and of target · scores."""
    gradient: Callable[..., None]
    """out_Rk, scores_Rk, inverse_k, share_R, grad_R, what makes targets, views: writes the gradient of directions."""


def compiled_passes() -> Passes:
    """Return the passes as kernels; those over masked patches fit any number of them."""
    made: list[Any] = [torch.compile(one, fullgraph=True) for one in (_column_sums, _row_sums, _entropy, _gradient)]
    return Passes(*made)


def _exponentials(scores_Rk: Tensor, inverse_k: Tensor) -> Tensor:
    return torch.exp(scores_Rk.float() * inverse_k)


def _column_sums(scores_Bk: Tensor, inverse_k: Tensor, row_B: Tensor) -> Tensor:
    return (_exponentials(scores_Bk, inverse_k) * row_B.unsqueeze(1)).sum(dim=0)


def _row_sums(scores_Bk: Tensor, inverse_k: Tensor, column_k: Tensor) -> Tensor:
    return (_exponentials(scores_Bk, inverse_k) * column_k).sum(dim=1)


def target(scores_Bk: Tensor, inverse_k: Tensor, row_B: Tensor, column_k: Tensor, views: ViewCounts = None) -> Tensor:
    """Return row · exp(scores) · column, or its sums over other views."""
    target_Bk = _exponentials(scores_Bk, inverse_k) * row_B.unsqueeze(1) * column_k
    return target_Bk if views is None else sums_over_other_views(target_Bk, *views)


def _entropy(scores_Rk: Tensor, inverse_k: Tensor, made_of: TargetFactors, views: ViewCounts) -> tuple[Tensor, Tensor]:
    x_Rk = scores_Rk.float() * inverse_k
    return torch.exp(x_Rk).sum(dim=1), (target(*made_of, views=views) * x_Rk).sum(dim=1)


def _gradient(
    out_Rk: Tensor,
    scores_Rk: Tensor,
    inverse_k: Tensor,
    share_R: Tensor,
    grad_R: Tensor,
    made_of: TargetFactors,
    views: ViewCounts,
) -> None:
    grad_Rk = _exponentials(scores_Rk, inverse_k) * share_R.unsqueeze(1)
    out_Rk.copy_((grad_Rk - target(*made_of, views=views) * grad_R.unsqueeze(1)) * inverse_k)
