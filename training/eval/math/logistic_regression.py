"""Multinomial logistic regression by L-BFGS, for the evaluations that fit a linear classifier.

Shapes: B rows to fit on, Q rows to judge, D width, Z classes.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Standard:
    """Features less their mean, over their deviation, both taken from the rows that a classifier is fitted on."""

    mean: Tensor
    """mean_D."""
    deviation: Tensor
    """deviation_D."""

    @classmethod
    def of(cls, features_BD: Tensor) -> Self:
        """Measure the rows; the deviation is of the population, so that one row will do."""
        features_BD = features_BD.float()
        return cls(features_BD.mean(dim=0), features_BD.std(dim=0, correction=0).clamp_min(1e-6))

    def __call__(self, features_QD: Tensor) -> Tensor:
        """Return x_QD."""
        return (features_QD.float() - self.mean) / self.deviation


@dataclass(frozen=True)
class Logistic:
    """A linear classifier."""

    weight: Tensor
    """weight_ZD."""
    bias: Tensor
    """bias_Z."""

    @classmethod
    def zero(cls, classes: int, width: int, like: Tensor) -> Self:
        """Return the classifier that knows nothing."""
        return cls(like.new_zeros(classes, width), like.new_zeros(classes))

    def __call__(self, x_QD: Tensor) -> Tensor:
        """Return logits_QZ."""
        return F.linear(x_QD, self.weight, self.bias)

    def fitted(self, x_BD: Tensor, target: Tensor, *, l2: float, steps: int) -> "Logistic":
        """Return the classifier that minimises mean cross-entropy + l2 / 2 · |weights|², starting from this one.

        The target is a class_B, or a share_BZ of each class. The minimum is unique where l2 > 0, so where it starts
        changes only how many steps it takes.
        """
        weight_ZD, bias_Z = (value.clone().requires_grad_() for value in (self.weight, self.bias))
        solver = torch.optim.LBFGS([weight_ZD, bias_Z], max_iter=steps, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            solver.zero_grad()
            value = F.cross_entropy(F.linear(x_BD, weight_ZD, bias_Z), target)
            value = value + l2 / 2 * weight_ZD.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        solver.step(loss)  # type: ignore[no-untyped-call]
        return Logistic(weight_ZD.detach(), bias_Z.detach())
