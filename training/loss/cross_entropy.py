"""Prototype scores, softmax and cross-entropy as one step with its own gradient, in chunks of prototypes.

131,072 prototypes and the masked patches of a large batch would fill gigabytes, several times over. What is
small is made once and kept; what is not is made again at each visit.

Shapes: R student rows, E bottleneck, K prototypes, k prototypes of one chunk; each RowTargets is for some of the rows.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

LEAST_LENGTH = 1e-6
COLUMNS = 8192
KEPT_BYTES = 1 << 30
ALL = slice(None)


class Chunks:
    """R × K numbers that `make` knows how to make, some columns at a time, for all rows or a slice of them."""

    def __init__(self, rows: int, columns: int, make: Callable[[slice, slice], Tensor]) -> None:
        self.rows, self.columns, self.make = rows, columns, make
        self.slices = [slice(i, min(i + COLUMNS, columns)) for i in range(0, columns, COLUMNS)]
        self.keeps = 4 * rows * columns <= KEPT_BYTES
        self.kept: dict[int, Tensor] = {}

    def at(self, number: int) -> Tensor:
        """Return a chunk_Rk, to be read only."""
        if number in self.kept:
            return self.kept[number]
        chunk_Rk = self.make(self.slices[number], ALL)
        if self.keeps:
            self.kept[number] = chunk_Rk
        return chunk_Rk

    def take(self, number: int) -> Tensor:
        """Return a chunk_Rk that the caller may overwrite."""
        return self.kept.pop(number) if number in self.kept else self.make(self.slices[number], ALL)

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        return ((columns, self.at(number)) for number, columns in enumerate(self.slices))

    def scaled(self, row_R: Tensor, column_K: Tensor) -> "Chunks":
        """Return row · matrix · column. Takes what this matrix kept."""

        def scale(columns: slice, rows: slice, chunk_Rk: Tensor) -> Tensor:
            return chunk_Rk.mul_(row_R[rows].unsqueeze(1)).mul_(column_K[columns])

        product = Chunks(self.rows, self.columns, lambda columns, rows: scale(columns, rows, self.make(columns, rows)))
        if self.keeps:
            product.kept = {n: scale(columns, ALL, self.take(n)) for n, columns in enumerate(self.slices)}
        return product

    def split(self, lengths: list[int]) -> "list[Chunks]":
        """Return consecutive rows, so many in each: looks at what this matrix kept, or makers of these rows alone."""
        ends = list(accumulate(lengths))
        return [self._rows(slice(end - length, end)) for end, length in zip(ends, lengths, strict=True)]

    def _rows(self, rows: slice) -> "Chunks":
        part = Chunks(rows.stop - rows.start, self.columns, lambda columns, _: self.make(columns, rows))
        part.kept = {number: chunk_Rk[rows] for number, chunk_Rk in self.kept.items()}
        return part


def fixed(rows_RE: Tensor) -> Chunks:
    """Return rows that are there already, no wider than a chunk."""
    rows, width = rows_RE.shape
    assert width <= COLUMNS
    return Chunks(rows, width, lambda columns, part: rows_RE[part, columns])


class Prototypes(NamedTuple):
    """Directions: rows of a weight in some number format, and their lengths, which scores divide out."""

    weight: Tensor
    """weight_KE."""
    length: Tensor
    """length_K, in fp32 or wider."""

    @classmethod
    def of(cls, raw_KE: Tensor, dtype: torch.dtype) -> "Prototypes":
        """Return the directions of a weight. No matrix of unit vectors is made: scores are fewer."""
        wide = torch.promote_types(raw_KE.dtype, torch.float32)
        return cls(raw_KE.to(dtype), torch.linalg.vector_norm(raw_KE, dim=1, dtype=wide).clamp_min_(LEAST_LENGTH))

    def scores(self, rows_RE: Tensor) -> Chunks:
        """Return rows · directions: multiplied in the weight's number format, then fp32 or wider."""
        rows_RE = rows_RE.to(self.weight.dtype)

        def make(columns: slice, rows: slice) -> Tensor:
            return (rows_RE[rows] @ self.weight[columns].T).to(self.length.dtype).div_(self.length[columns])

        return Chunks(len(rows_RE), len(self.weight), make)


class RowTargets(NamedTuple):
    """What consecutive student rows are compared with."""

    targets: Chunks
    """Rows that sum to 1."""
    expand_to_views: Callable[[Tensor], Tensor]
    """Turns target_Bk into target_Rk: the sum of some targets for each student row."""
    n_targets: Tensor
    """n_targets_R: how many targets each row is compared with."""


def product_dtype(x: Tensor) -> torch.dtype:
    """Return the number format in which the present autocast would multiply a tensor."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def cross_entropy(z_RE: Tensor, prototypes_KE: Tensor, row_targets: list[RowTargets], temperature: float) -> Tensor:
    """Return entropy_R of rows of unit length against prototypes of any length; row_targets follow one another.

    The slow form:

        for r in range(R):
            scores = z[r] @ normalised(prototypes).T
            entropy[r] = -(target[r] · log_softmax(scores / temperature))
    """
    entropy_R: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        z_RE, prototypes_KE, row_targets, temperature, product_dtype(z_RE)
    )
    return entropy_R


def _parts(row_targets: list[RowTargets], number: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield the rows and the chunk of each of them."""
    start = 0
    for one in row_targets:
        rows = slice(start, start + len(one.n_targets))
        yield rows, one.expand_to_views(one.targets.at(number))
        start = rows.stop


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z_RE: Tensor, raw_KE: Tensor, row_targets: list[RowTargets], temperature: float, dtype: torch.dtype
    ) -> Tensor:
        with torch.autocast(z_RE.device.type, enabled=False):
            prototypes, sharp_RE = Prototypes.of(raw_KE, dtype), (z_RE / temperature).to(dtype)
            scores = prototypes.scores(sharp_RE)
            at_target_R, total_R = (torch.zeros_like(z_RE[:, 0]) for _ in range(2))
            buffer_Rk = scores.at(0).new_empty(scores.at(0).shape)
            for number in range(len(scores.slices)):
                scores_Rk = scores.at(number)
                for rows, target_Rk in _parts(row_targets, number):
                    at_target_R[rows] += torch.linalg.vecdot(target_Rk, scores_Rk[rows])
                total_R += torch.exp(scores_Rk, out=buffer_Rk[:, : scores_Rk.shape[1]]).sum(dim=1)
            n_targets_R = torch.cat([one.n_targets for one in row_targets])
        ctx.save_for_backward(raw_KE, *prototypes, sharp_RE, n_targets_R / total_R)
        ctx.scores, ctx.row_targets, ctx.temperature = scores, row_targets, temperature
        return n_targets_R * total_R.log() - at_target_R

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_entropy_R: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        raw_KE, weight_KE, length_K, sharp_RE, share_R = ctx.saved_tensors
        grad_z_RE, grad_raw_KE = torch.zeros_like(sharp_RE, dtype=length_K.dtype), torch.empty_like(raw_KE)
        for number, columns in enumerate(ctx.scores.slices):
            grad_score_Rk = ctx.scores.take(number).exp_().mul_((grad_entropy_R * share_R).unsqueeze(1))
            for rows, target_Rk in _parts(ctx.row_targets, number):
                grad_score_Rk[rows].addcmul_(target_Rk, grad_entropy_R[rows].unsqueeze(1), value=-1)
            grad_direction_Rk = grad_score_Rk.div_(length_K[columns]).to(weight_KE.dtype)
            grad_z_RE += grad_direction_Rk @ weight_KE[columns]
            write_across(grad_direction_Rk.T @ sharp_RE, raw_KE[columns], length_K[columns], grad_raw_KE[columns])
        return grad_z_RE / ctx.temperature, grad_raw_KE, None, None, None


def write_across(grad_direction_kE: Tensor, raw_kE: Tensor, length_k: Tensor, out_kE: Tensor) -> None:
    """Write the gradient without its part along each prototype, which would only change a length."""
    grad_direction_kE = grad_direction_kE.to(raw_kE.dtype)
    along_k = torch.linalg.vecdot(grad_direction_kE, raw_kE) / length_k.square()
    torch.addcmul(grad_direction_kE, along_k.unsqueeze(1), raw_kE, value=-1, out=out_kE)
