"""A matrix with a column for each prototype, worked through in chunks of columns.

131,072 prototypes and the masked patches of a large batch would fill gigabytes, several times over. What is
small is made once and kept; what is not is made again at each visit.

Shapes: R rows, K prototypes, k prototypes of one chunk.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

COLUMNS = 8192
KEPT_BYTES = 1 << 30


class Chunks:
    """R × K numbers that `make` knows how to make, some columns at a time."""

    def __init__(self, rows: int, columns: int, make: Callable[[slice], Tensor]) -> None:
        self.rows, self.make = rows, make
        self.slices = [slice(i, min(i + COLUMNS, columns)) for i in range(0, columns, COLUMNS)]
        self.keeps = 4 * rows * columns <= KEPT_BYTES
        self.kept: dict[int, Tensor] = {}

    def at(self, number: int) -> Tensor:
        """Return a chunk_Rk, to be read only."""
        if number in self.kept:
            return self.kept[number]
        chunk_Rk = self.make(self.slices[number])
        if self.keeps:
            self.kept[number] = chunk_Rk
        return chunk_Rk

    def take(self, number: int) -> Tensor:
        """Return a chunk_Rk that the caller may overwrite."""
        return self.kept.pop(number) if number in self.kept else self.make(self.slices[number])

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        return ((columns, self.at(number)) for number, columns in enumerate(self.slices))

    def scaled(self, row_R: Tensor, column_K: Tensor) -> "Chunks":
        """Return row · matrix · column. Takes what this matrix kept."""

        def scale(columns: slice, chunk_Rk: Tensor) -> Tensor:
            return chunk_Rk.mul_(row_R.unsqueeze(1)).mul_(column_K[columns])

        product = Chunks(self.rows, len(column_K), lambda columns: scale(columns, self.make(columns)))
        if self.keeps:
            product.kept = {n: scale(columns, self.take(n)) for n, columns in enumerate(self.slices)}
        return product


def products(rows_RE: Tensor, prototypes_KE: Tensor) -> Chunks:
    """Return rows · prototypes: in the rows' number format, then in fp32 at least."""
    wide = torch.promote_types(rows_RE.dtype, torch.float32)

    def make(columns: slice) -> Tensor:
        return (rows_RE @ prototypes_KE[columns].T).to(wide)

    return Chunks(len(rows_RE), len(prototypes_KE), make)
