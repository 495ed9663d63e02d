"""The windows of small gray pictures, and what is compared of them.

Pictures are squashed to 32 × 32. A window's sides are 1 to .41 of the picture's, each for itself, 729 in all; it counts
as 10 × 10 gray levels, of which a quarter, its coarse waves, are compared first (window_search.py).
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from curation.arrays import Array, Bytes, Floats

SIDE, CELLS = 32, 10
"""Gray levels along a picture, and along a window that is compared."""
SHARES, STEP = (1.0, 0.8, 0.64, 0.51, 0.41), 0.16
"""Sides of windows, and how far they are apart, in their own sides."""
ORIENTATIONS = [(quarters, mirrored) for quarters in range(4) for mirrored in (False, True)]
"""Quarter turns counter-clockwise, and whether mirrored after that."""
COARSE = 5
"""Waves along each side of a window that are compared first."""
ROUNDING = 1e-3
"""More than float32 loses in a correlation."""
AT_ONCE = 16
"""Pictures that are described together."""


class Windows(NamedTuple):
    """What is compared of one picture: its windows as 10 × 10 gray levels."""

    levels: Floats
    """[32, 32], the gray levels."""
    tones: Floats
    """[24, 729], the coarse half of each window as coefficients of a cosine transform, of unit norm."""
    fine: Floats
    """[729], the norm of what else a window has is at most so many times that of its coarse half."""
    spread: Floats
    """[729], at most so many times that is the norm of both."""
    wholes: Floats
    """[100, 8], the whole in eight orientations, centred and of unit norm."""
    whole_tones: Floats
    """[8, 24], the coarse half of those."""
    rest: float
    """The norm of what that leaves out of the whole."""

    def parts(self, numbers: Array) -> Floats:
        """Return some of the 729 windows [n, 100], centred and of unit norm."""
        cutter = _cutter().swapaxes(0, 1)
        down, across = np.divmod(numbers, len(cutter))
        cells = (cutter @ self.levels)[down] @ cutter[across].swapaxes(1, 2)
        return normed(np.asarray(cells.reshape(len(numbers), CELLS * CELLS), np.float32))


def described(grays: Bytes) -> list[Windows]:
    """Return the windows of each of some gray pictures [n, 32, 32]."""
    return [each for start in range(0, len(grays), AT_ONCE) for each in _described(grays[start : start + AT_ONCE])]


def _described(grays: Bytes) -> Iterator[Windows]:
    levels: Floats = grays.astype(np.float32)
    levels -= levels.mean(axis=(1, 2), keepdims=True)
    waves, count, sides = _coarse().reshape(-1, SIDE), len(grays), len(spans())
    tones = waves @ (levels @ waves.T)  # a product for each picture: whatever others are beside it, to the bit
    tones = tones.reshape(count, COARSE, sides, COARSE, sides).swapaxes(2, 3).reshape(count, COARSE**2, -1)
    energy, tones = _energies(levels) - tones[:, 0] ** 2, tones[:, 1:]
    coarse = np.maximum(np.einsum("nij,nij->nj", tones, tones), ROUNDING**2)
    tones /= np.sqrt(coarse)[:, None]
    fine = np.maximum(energy / coarse - 1, 0)
    cutter = _cutter()[:, 0]
    cells = np.asarray(cutter @ levels @ cutter.T, np.float32).reshape(count, -1)
    wholes = normed(cells)[:, places_of_turns(CELLS)]
    whole_tones = wholes @ _waves()
    rest = np.sqrt(np.maximum(1 - np.einsum("ij,ij->i", whole_tones[:, 0], whole_tones[:, 0]), 0)).tolist()
    turned_wholes = np.ascontiguousarray(wholes.swapaxes(1, 2))
    return map(Windows, levels, tones, np.sqrt(fine), np.sqrt(1 + fine), turned_wholes, whole_tones, rest)


def _energies(levels: Floats) -> Floats:
    """Return the sum of squares [n, 729] of the cells of each window of pictures [n, 32, 32], without the cells.

    Of cells D·L·Aᵀ that is the product of LᵀDᵀDL and AᵀA, entry by entry; the latter is 0 but near its diagonal.
    """
    rows, (near, diagonals) = _cutter().swapaxes(0, 1), _diagonals()
    down = (rows.reshape(-1, SIDE) @ levels).reshape(-1, CELLS, SIDE)
    squares = [np.einsum("nij,nij->nj", down[:, :, : SIDE - k], down[:, :, k:]) for k in range(near)]
    return (np.concatenate(squares, axis=1).reshape(len(levels), len(rows), -1) @ diagonals).reshape(len(levels), -1)


@cache
def _diagonals() -> tuple[int, Floats]:
    """Return how many diagonals of AᵀA differ from 0, and them [entries, windows], but for the main one twice.

    A are the rows [10, 32] that take the cells of each window of a side.
    """
    rows = _cutter().swapaxes(0, 1)
    products = rows.swapaxes(1, 2) @ rows
    diagonals = [np.diagonal(products, k, axis1=1, axis2=2) * (2 if k else 1) for k in range(SIDE)]
    near = 1 + max(k for k, diagonal in enumerate(diagonals) if diagonal.any())
    return near, np.concatenate(diagonals[:near], axis=1).T


def normed(values: Floats) -> Floats:
    """Centre the last axis and give it unit norm; what is flat becomes nothing."""
    values = values - values.mean(-1, keepdims=True)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1.0), np.float32)


@cache
def spans() -> list[tuple[float, float]]:
    """Return where windows begin along one side, and their lengths."""
    return [(float(start), share) for share in SHARES for start in np.linspace(0, 1 - share, _count(share))]


def _count(share: float) -> int:
    return 1 if share == 1 else int(np.ceil((1 - share) / (STEP * share))) + 1


@cache
def _cutter() -> Floats:
    """Return for each cell the rows [10, windows, side] that average its pixels in each window of a side."""
    return np.stack([averaging(SIDE, start, share, CELLS) for start, share in spans()], axis=1)


@cache
def _waves() -> Floats:
    """Return the coarse waves [100, 24] of 10 × 10 cells: cosines of unit norm, without the constant one."""
    return np.kron(_cosines(), _cosines())[1:].T.astype(np.float32)


@cache
def _coarse() -> Floats:
    """Return for each coarse wave the rows [5, windows, side] that take it from each window of a side."""
    return np.tensordot(_cosines(), _cutter(), 1)


def _cosines() -> Floats:
    """Return the first rows [5, 10] of the orthonormal cosine transform (DCT-II)."""
    waves, cells = np.arange(COARSE)[:, None], np.arange(CELLS)
    rows = np.cos(np.pi * (cells + 0.5) * waves / CELLS)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def averaging(side: int, start: float, share: float, cells: int) -> Floats:
    """Return the matrix [cells, side] whose rows average the pixels of each cell of a window along one side."""
    edges, pixels = side * (start + share * np.arange(cells + 1) / cells), np.arange(side)
    low, high = edges[:-1, None], edges[1:, None]
    inside = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
    return np.asarray(inside / (high - low), np.float32)


@cache
def places_of_turns(side: int) -> Array:
    """Return where each place of a square [side, side] comes from in each of the eight orientations, [8, side²]."""
    grid = np.arange(side * side).reshape(side, side)
    return np.stack([turned(grid, quarters, mirrored).ravel() for quarters, mirrored in ORIENTATIONS])


def turned(grid: Array, quarters: int, mirrored: bool) -> Array:
    """Return a grid [h, w] after quarter turns counter-clockwise, and mirrored after that."""
    view = np.rot90(grid, quarters)
    return np.fliplr(view) if mirrored else view
