"""Small gray pictures against every window of each other: which part of one does the whole of the other show?

Both are squashed to 32 × 32. A window's sides are 1 to .41 of the picture's, each for itself, 729 in all; a window and
a whole are compared as 10 × 10 gray levels in eight orientations, by one product of matrices.
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
REMEMBERED = 1024
"""Pictures whose windows wait for the next pair, 290 kB each."""


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
    """What is compared of one picture."""

    parts: Floats
    """[729, 100], centred and of unit norm; the first is the whole."""
    wholes: Floats
    """[100, 8], the whole in eight orientations."""


@lru_cache(maxsize=REMEMBERED)
def windows(gray: bytes) -> Windows:
    """Return the windows of a gray picture [32, 32]."""
    levels = np.frombuffer(gray, np.uint8).reshape(SIDE, SIDE).astype(np.float32)
    cut = _cutter()
    count = len(cut) // CELLS
    cells = np.asarray(cut @ levels @ cut.T, np.float32).reshape(count, CELLS, count, CELLS).swapaxes(1, 2)
    parts = normed(cells.reshape(-1, CELLS * CELLS))
    return Windows(parts, np.ascontiguousarray(parts[0][places_of_turns(CELLS)].T))


def best_correlation(one: bytes, other: bytes) -> float:
    """Return how well either whole shows a window of the other."""
    first, second = windows(one), windows(other)
    return float(max((first.parts @ second.wholes).max(), (second.parts @ first.wholes).max()))


def best_window(one: bytes, other: bytes) -> tuple[Window, bool]:
    """Return the window in which either whole is shown best, and whether it is a window of the other one."""
    found = [(best_windows(one, other, 1)[0], False), (best_windows(other, one, 1)[0], True)]
    return max(found, key=lambda each: each[0].correlation)


def best_windows(picture: bytes, other: bytes, count: int) -> list[Window]:
    """Return the windows of a picture that the whole of another shows best."""
    correlations = windows(picture).parts @ windows(other).wholes
    spans = _spans()
    found = []
    for place in np.argpartition(-correlations.ravel(), count)[:count]:
        part, orientation = divmod(int(place), correlations.shape[1])
        (top, high), (left, wide) = spans[part // len(spans)], spans[part % len(spans)]
        found.append(Window(float(correlations[part, orientation]), left, top, wide, high, orientation))
    return sorted(found, reverse=True)


def normed(values: Floats) -> Floats:
    """Centre the last axis and give it unit norm; what is flat becomes nothing."""
    values = values - values.mean(-1, keepdims=True)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1.0), np.float32)


@cache
def _spans() -> list[tuple[float, float]]:
    """Return where windows begin along one side, and their lengths."""
    return [(float(start), share) for share in SHARES for start in np.linspace(0, 1 - share, _count(share))]


def _count(share: float) -> int:
    return 1 if share == 1 else int(np.ceil((1 - share) / (STEP * share))) + 1


@cache
def _cutter() -> Floats:
    """Return the matrix [windows · cells, side] whose rows average the pixels of one cell of one window."""
    return np.concatenate([averaging(SIDE, start, share, CELLS) for start, share in _spans()])


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
