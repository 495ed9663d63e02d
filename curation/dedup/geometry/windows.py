"""Small gray pictures against every window of each other: which part of one does the whole of the other show?

Both are squashed to 32 × 32. A window's sides are 1 to .41 of the picture's, each for itself, 729 in all; a window and
a whole are compared as 10 × 10 gray levels in eight orientations. Most windows are dismissed by a quarter of that: a
bound by their coarse waves, which never dismisses what the whole comparison would not.
"""

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from curation.arrays import Array, Floats

SIDE, CELLS = 32, 10
"""Gray levels along a picture, and along a window that is compared."""
SHARES, STEP = (1.0, 0.8, 0.64, 0.51, 0.41), 0.16
"""Sides of windows, and how far they are apart, in their own sides."""
PART_OF = 0.84
"""Least correlation with which one small picture may show a part of another."""
ORIENTATIONS = [(quarters, mirrored) for quarters in range(4) for mirrored in (False, True)]
"""Quarter turns counter-clockwise, and whether mirrored after that."""
COARSE = 5
"""Waves along each side of a window that are compared first."""
ROUNDING = 1e-3
"""More than float32 loses in a correlation."""
TRIED = 32
"""Windows that are compared first where the best are sought."""
REMEMBERED = 2048
"""Pictures whose windows wait for the next pair, 80 kB each."""


class Window(NamedTuple):
    """A part of a picture in shares of its sides, the turn in which the other's whole shows it, and how well."""

    correlation: float
    left: float
    top: float
    wide: float
    high: float
    orientation: int
    """Quarter turns counter-clockwise times two, plus one if mirrored after that."""


class Windows(NamedTuple):
    """What is compared of one picture: its windows as 10 × 10 gray levels."""

    levels: Floats
    """[32, 32], the gray levels."""
    tones: Floats
    """[24, 729], the coarse half of each window, centred and of unit norm, as coefficients of a cosine transform."""
    rest: Floats
    """[729], the norm of what those leave out."""
    wholes: Floats
    """[100, 8], the whole in eight orientations, centred and of unit norm."""
    whole_tones: Floats
    """[8, 24]"""

    def parts(self, numbers: Array) -> Floats:
        """Return some of the 729 windows [n, 100], centred and of unit norm."""
        cutter = _cutter().swapaxes(0, 1)
        down, across = np.divmod(numbers, len(cutter))
        cells = cutter[down] @ self.levels @ cutter[across].swapaxes(1, 2)
        return normed(np.asarray(cells.reshape(len(numbers), -1), np.float32))


@lru_cache(maxsize=REMEMBERED)
def windows(gray: bytes) -> Windows:
    """Return the windows of a gray picture [32, 32]."""
    levels = np.frombuffer(gray, np.uint8).reshape(SIDE, SIDE).astype(np.float32)
    levels -= levels.mean()
    cells, waves = (_products(each, levels) for each in (_cutter(), _coarse()))
    means, tones = np.split(waves.swapaxes(1, 2).reshape(COARSE * COARSE, -1), [1])
    squares = np.maximum((cells * cells).sum(axis=0).sum(axis=1).ravel() - means[0] ** 2, 0)
    norms = np.maximum(np.sqrt(squares), 1.0)
    rest = np.sqrt(np.maximum(squares - (tones * tones).sum(axis=0), 0)) / norms
    whole = normed(cells[:, 0, :, 0].ravel())[places_of_turns(CELLS)]
    return Windows(levels, tones / norms, rest, np.ascontiguousarray(whole.T), whole @ _waves())


def best_correlation(one: bytes, other: bytes) -> float:
    """Return how well either whole shows a window of the other; something below PART_OF where that is below."""
    first, second = windows(one), windows(other)
    return max(_shown(first, second), _shown(second, first))


def _shown(picture: Windows, other: Windows) -> float:
    """Return the best correlation of a window with the whole, by comparing those that may reach PART_OF."""
    rows = np.flatnonzero(_most(picture, other) >= PART_OF - ROUNDING)
    return float((picture.parts(rows) @ other.wholes).max()) if len(rows) else -1.0


def _most(picture: Windows, other: Windows) -> Floats:
    """Return the most that each window [729] may correlate with the whole, in any orientation, by their coarse waves.

    By Cauchy and Schwarz what those leave out adds at most the product of its norms.
    """
    return np.asarray((other.whole_tones @ picture.tones).max(axis=0) + picture.rest * other.rest[0])


def best_window(one: bytes, other: bytes) -> tuple[Window, bool]:
    """Return the window in which either whole is shown best, and whether it is a window of the other one."""
    found = [(best_windows(one, other, 1)[0], False), (best_windows(other, one, 1)[0], True)]
    return max(found, key=lambda each: each[0].correlation)


def best_windows(picture: bytes, other: bytes, count: int) -> list[Window]:
    """Return the windows of a picture that the whole of another shows best."""
    first, second, sides = windows(picture), windows(other), spans()
    most = _most(first, second)
    some = first.parts(np.argpartition(-most, TRIED)[:TRIED]) @ second.wholes
    rows = np.flatnonzero(most >= np.partition(some.ravel(), -count)[-count] - ROUNDING)
    correlations = first.parts(rows) @ second.wholes
    found = []
    for place in np.argsort(-correlations.ravel(), kind="stable")[:count]:
        row, orientation = divmod(int(place), correlations.shape[1])
        (top, high), (left, wide) = (sides[side] for side in divmod(int(rows[row]), len(sides)))
        found.append(Window(float(correlations[row, orientation]), left, top, wide, high, orientation))
    return sorted(found, reverse=True)


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


def _products(rows: Floats, levels: Floats) -> Floats:
    """Return what rows [k, windows, side] take down and across, [k, windows, k, windows]."""
    flat = rows.reshape(-1, rows.shape[-1])
    return np.asarray(flat @ levels @ flat.T, np.float32).reshape(rows.shape[:2] * 2)


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
