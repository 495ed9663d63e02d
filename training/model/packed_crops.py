"""Crops of several sizes as one list of tokens, and the part of it that a branch works on.

Shapes: L tokens of all crops, size after size, image after image; K tokens that a branch keeps; T tokens of an
image; R tokens that somebody reads; D width.
"""

from typing import NamedTuple

import torch
from torch import Tensor


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

    def patches(self, places_M: Tensor, prefix: int) -> Tensor:
        """Return where patches of the first size stand; places count through its images' patches alone."""
        patches = self.tokens[0] - prefix
        return places_M // patches * self.tokens[0] + prefix + places_M % patches


class Kept(NamedTuple):
    """The images that a branch does not skip, and how much more they count for it."""

    rows: Tensor
    """rows_K: where their tokens stand in the whole list."""
    factor: Tensor
    """factor_K1: images over kept images of the size, so that what a branch adds is expected to be the same."""
    packing: Packing
    """How their tokens lie by themselves."""

    @classmethod
    def of(cls, chosen: list[Tensor], packing: Packing) -> "Kept | None":
        """Return what is kept when `chosen` are the images of each size, or None when that is everything."""
        counts = tuple(len(images) for images in chosen)
        if counts == packing.images:
            return None
        rows = [
            (start + images_B.unsqueeze(1) * tokens + torch.arange(tokens, device=images_B.device)).flatten()
            for images_B, start, tokens in zip(chosen, packing.starts, packing.tokens, strict=True)
        ]
        factors = [
            torch.full((len(rows_K), 1), images / kept, device=rows_K.device)
            for rows_K, images, kept in zip(rows, packing.images, counts, strict=True)
        ]
        return cls(torch.cat(rows), torch.cat(factors), Packing(counts, packing.tokens))

    def reading(self, rows_R: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Return, for tokens of the whole list, their rows among the kept ones and factor_R1, 0 where skipped."""
        row_L = torch.zeros(length, dtype=torch.long, device=rows_R.device)
        row_L[self.rows] = torch.arange(len(self.rows), device=rows_R.device)
        factor_L1 = torch.zeros(length, 1, device=rows_R.device)
        factor_L1[self.rows] = self.factor
        return row_L[rows_R], factor_L1[rows_R]
