"""Prototypes, and matrices with a column for each of them, worked through in chunks of columns.

131,072 prototypes and the masked patches of a large batch would fill gigabytes, several times over. What is
small is made once and kept; what is not is made again at each visit.

Shapes: R rows, E bottleneck, K prototypes, k prototypes of one chunk.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import NamedTuple

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
