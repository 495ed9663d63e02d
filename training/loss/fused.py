"""The cross-entropy of compiled steps: each visit to the scores is one kernel, and only the scores are kept.

The same numbers as targets.py and cross_entropy.py, which keep exponentials and targets in fp32 for processors that
are slow at making them. A GPU is slow at fetching them: it reads scores in the number format of their product, half
as wide, and makes the rest on the way.

Shapes: B rows of the teacher, R of the student, E bottleneck, K prototypes, k prototypes of one chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.loss import cross_entropy
from training.loss.cross_entropy import Prototypes, write_across
from training.loss.passes import Passes, TargetFactors, ViewCounts, target
from training.loss.targets import sinkhorn

KEPT_SHARE = 1 / 32
"""Scores are kept where they take no more of a GPU's memory, else made again at each visit."""


class PrototypeScores:
    """Rows · directions, before lengths are divided out, some columns at a time."""

    def __init__(self, rows_RE: Tensor, prototypes: Prototypes) -> None:
        self.rows_RE, self.prototypes = rows_RE.to(prototypes.weight.dtype), prototypes
        self.inverse_K = prototypes.length.reciprocal()
        self.rows, self.columns = len(rows_RE), len(prototypes.length)
        width = cross_entropy.COLUMNS
        self.slices = [slice(i, min(i + width, self.columns)) for i in range(0, self.columns, width)]
        self.kept: list[Tensor] = []
        if self.rows_RE.element_size() * self.rows * self.columns <= _room(rows_RE.device):
            self.kept = [self._made(columns) for columns in self.slices]

    def at(self, number: int) -> Tensor:
        """Return scores_Rk, to be read only."""
        return self.kept[number] if self.kept else self._made(self.slices[number])

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        return ((columns, self.at(number)) for number, columns in enumerate(self.slices))

    def _made(self, columns: slice) -> Tensor:
        return self.rows_RE @ self.prototypes.weight[columns].T


@dataclass(frozen=True)
class FusedTargets:
    """Some rows of row · exp(scores) · column, which sum to 1."""

    scores: PrototypeScores
    row: Tensor
    """row_B of all rows."""
    column: Tensor
    """column_K."""
    part: slice

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.part.stop - self.part.start)

    def split(self, lengths: list[int]) -> "list[FusedTargets]":
        """Return consecutive rows, so many in each."""
        ends = [self.part.start + end for end in accumulate(lengths)]
        return [replace(self, part=slice(end - length, end)) for end, length in zip(ends, lengths, strict=True)]

    def made_of(self, number: int) -> TargetFactors:
        """Return what `target` makes a chunk of."""
        columns = self.scores.slices[number]
        scores_Bk, inverse_k = self.scores.at(number)[self.part], self.scores.inverse_K[columns]
        return scores_Bk, inverse_k, self.row[self.part], self.column[columns]

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        return ((columns, target(*self.made_of(number))) for number, columns in enumerate(self.scores.slices))


class FusedRows(NamedTuple):
    """What consecutive student rows are compared with."""

    targets: FusedTargets
    views: ViewCounts
    n_targets: Tensor
    """n_targets_R: how many targets each row is compared with."""


def fused_targets(z_BE: Tensor, prototypes: Prototypes, temperature: float, passes: Passes) -> FusedTargets:
    """Return what Sinkhorn-Knopp makes of z of unit length."""
    scores = PrototypeScores(z_BE / temperature, prototypes)
    row_B, column_K = sinkhorn(
        scores,
        scores.columns,
        z_BE.device,
        lambda columns, scores_Bk, row_B: passes.column_sums(scores_Bk, scores.inverse_K[columns], row_B),
        lambda columns, scores_Bk, column_k: passes.row_sums(scores_Bk, scores.inverse_K[columns], column_k),
    )
    return FusedTargets(scores, row_B, column_K, slice(0, scores.rows))


def fused_cross_entropy(
    z_RE: Tensor, prototypes_KE: Tensor, rows: list[FusedRows], temperature: float, passes: Passes
) -> Tensor:
    """Return entropy_R as `cross_entropy` does."""
    entropy_R: Tensor = _Fused.apply(  # type: ignore[no-untyped-call]
        z_RE, prototypes_KE, rows, temperature, cross_entropy.product_dtype(z_RE), passes
    )
    return entropy_R


def _room(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory * KEPT_SHARE)
    return cross_entropy.KEPT_BYTES


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        z_RE: Tensor,
        raw_KE: Tensor,
        rows: list[FusedRows],
        temperature: float,
        dtype: torch.dtype,
        passes: Passes,
    ) -> Tensor:
        with torch.autocast(z_RE.device.type, enabled=False):
            prototypes = Prototypes.of(raw_KE, dtype)
            scores = PrototypeScores(z_RE / temperature, prototypes)
            total_R, at_target_R = (torch.zeros_like(z_RE[:, 0]) for _ in range(2))
            for number, (columns, scores_Rk) in enumerate(scores):
                for one, part in _parts(rows):
                    of_part = (scores_Rk[part], scores.inverse_K[columns], one.targets.made_of(number), one.views)
                    for sums_R, more_R in zip((total_R, at_target_R), passes.entropy(*of_part), strict=True):
                        sums_R[part] += more_R
            n_targets_R = torch.cat([one.n_targets for one in rows])
        ctx.save_for_backward(raw_KE, n_targets_R / total_R)
        ctx.scores, ctx.rows, ctx.temperature, ctx.passes = scores, rows, temperature, passes
        return n_targets_R * total_R.log() - at_target_R

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_R: Tensor) -> tuple[Tensor | None, ...]:
        raw_KE, share_R = ctx.saved_tensors
        scores, share_R = ctx.scores, share_R * grad_R
        sharp_RE, (weight_KE, length_K) = scores.rows_RE, scores.prototypes
        grad_z_RE, grad_raw_KE = torch.zeros_like(sharp_RE, dtype=length_K.dtype), torch.empty_like(raw_KE)
        for number, (columns, scores_Rk) in enumerate(scores):
            grad_Rk = torch.empty_like(scores_Rk)
            for one, part in _parts(ctx.rows):
                of_part = (
                    scores.inverse_K[columns],
                    share_R[part],
                    grad_R[part],
                    one.targets.made_of(number),
                    one.views,
                )
                ctx.passes.gradient(grad_Rk[part], scores_Rk[part], *of_part)
            grad_z_RE += grad_Rk @ weight_KE[columns]
            write_across(grad_Rk.T @ sharp_RE, raw_KE[columns], length_K[columns], grad_raw_KE[columns])
        return grad_z_RE / ctx.temperature, grad_raw_KE, None, None, None, None


def _parts(rows: list[FusedRows]) -> Iterator[tuple[FusedRows, slice]]:
    """Yield what is compared, and where it stands among the student's rows."""
    ends = accumulate(len(one.n_targets) for one in rows)
    return ((one, slice(end - len(one.n_targets), end)) for one, end in zip(rows, ends, strict=True))
