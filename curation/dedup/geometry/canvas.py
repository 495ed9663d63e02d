"""Two files laid over each other as they are, with their borders: what is recompressed or resized keeps its canvas.

What is written on a page ends where its first and last lines do; noise moves that, and so the frames without borders.
"""

import numpy as np

from curation.arrays import Doubles
from curation.dedup.geometry.alignments import Affine, map_of_turn, nearest_turn
from curation.dedup.geometry.features import LocalFeatures, high_pass

SAME_SHAPE = 0.01
"""Share by which the shapes of two files may differ that are laid over each other with their borders."""
MARGIN, SIGNS = 2, np.array([[-1], [1]])
"""Pixels of the frame by which ink may reach over."""
SPARSE = 0.07
"""Share of a picture's energy of detail beyond the other's borders, at most: sparse ink counts as a border or does not,
as noise decides."""


def framed(a: LocalFeatures, b: LocalFeatures, near: Affine) -> Affine | None:
    """Return the map of the whole file of a to that of b, turned as another map is; None where their shapes differ.

    What is written on a page ends where its first and last lines do; noise moves that, and so the frames.
    """
    quarters, mirrored = nearest_turn(near)
    (wide_a, high_a), (wide_b, high_b) = a.file_size, b.file_size
    wide, high = (high_a, wide_a) if quarters % 2 else (wide_a, high_a)
    if abs(wide * high_b - wide_b * high) > SAME_SHAPE * wide * high_b:
        return None
    turn = np.vstack([map_of_turn((high_a, wide_a), (high_b, wide_b), quarters, mirrored), [0, 0, 1]])
    return np.asarray((_to_frame(b) @ turn @ np.linalg.inv(_to_frame(a)))[:2], np.float64)


def blank_beyond(a: LocalFeatures, b: LocalFeatures) -> bool:
    """Return whether both files have most of their ink where both have some, so that little is left out of a look.

    Not so the letters b and p, whose bowls are one and the same where both have ink.
    """
    return _blank_beyond(a, b) and _blank_beyond(b, a)


def _blank_beyond(one: LocalFeatures, other: LocalFeatures) -> bool:
    if one.bounds == other.bounds and one.file_size == other.file_size:
        return True
    corners = np.array(other.bounds, np.float64).reshape(2, 2) / other.file_size * one.file_size
    to_frame = _to_frame(one)
    (left, top), (right, bottom) = np.rint(corners @ to_frame[:2, :2] + to_frame[:2, 2] + MARGIN * SIGNS).astype(int)
    beyond = np.ones(one.gray.shape, dtype=bool)
    beyond[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = False
    energy = np.square(high_pass(one.gray.astype(np.float32)))
    return float(energy[beyond].sum()) <= SPARSE * float(energy.sum())


def _to_frame(features: LocalFeatures) -> Doubles:
    """Map pixels of the file to pixels of the frame; centres of pixels are whole numbers in both."""
    left, top, right, bottom = features.bounds
    x, y = features.gray.shape[1] / (right - left), features.gray.shape[0] / (bottom - top)
    return np.array([[x, 0, (0.5 - left) * x - 0.5], [0, y, (0.5 - top) * y - 0.5], [0, 0, 1]])
