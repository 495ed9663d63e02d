"""Small gray pictures against every window of each other: which part of one does the whole of the other show?

A window and a whole are compared in eight orientations. Most windows are dismissed by a bound on their coarse waves,
which never dismisses what the whole comparison would not.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from curation.arrays import Array, Bools, Floats
from curation.dedup.geometry.windows import ROUNDING, Windows, spans

PART_OF = 0.84
"""Least correlation with which one small picture may show a part of another."""
TRIED = 32
"""Windows that are compared first where the best are sought."""


class Window(NamedTuple):
    """A part of a picture in shares of its sides, the turn in which the other's whole shows it, and how well."""

    correlation: float
    left: float
    top: float
    wide: float
    high: float
    orientation: int
    """Quarter turns counter-clockwise times two, plus one if mirrored after that."""


def best_shown(picture: Windows, wholes: Sequence[Windows]) -> dict[int, Window]:
    """Return, for those of some wholes that show a window of the picture by PART_OF, the best one, by their numbers.

    To the bit as for each whole alone.
    """
    found = dict[int, Window]()
    coarse = np.stack([each.whole_tones for each in wholes]) @ picture.tones
    most = coarse.reshape(len(wholes), -1).max(axis=1)
    promising = np.flatnonzero(most >= [_least_coarse(each, PART_OF) for each in wholes]).tolist()
    if not promising:
        return found
    some, coarse = [wholes[number] for number in promising], coarse[promising].max(axis=1)
    reaching = _reaching(picture, some, coarse, PART_OF)
    numbers = np.flatnonzero(reaching.any(axis=0))
    parts = picture.parts(numbers)
    for number, whole, rows in zip(promising, some, reaching[:, numbers], strict=True):
        correlations = parts[rows] @ whole.wholes
        if correlations.max(initial=-1.0) >= PART_OF:
            found[number] = _window(numbers[rows], correlations, int(correlations.argmax()))
    return found


def _reaching(picture: Windows, wholes: Sequence[Windows], coarse: Floats, correlation: float) -> Bools:
    """Return which windows may correlate so well with each of the wholes [n, 729], from what their coarse waves do.

    Let c be that, and r the norm of what a window has beside its coarse waves, of norm 1. By Cauchy and Schwarz the
    whole correlates with it by at most (c + r·rest) / √(1 + r²).
    """
    rest = np.array([[each.rest] for each in wholes], np.float32)
    least = np.array([[_least_coarse(each, correlation)] for each in wholes], np.float32)
    worst = np.where(least > 0, rest / np.abs(least), np.float32(np.inf))  # the r of the greatest bound
    alike = np.float32(correlation - ROUNDING) * picture.spread - rest * picture.fine
    return np.asarray(coarse >= np.where(picture.fine < worst, alike, least))


def _least_coarse(other: Windows, correlation: float) -> float:
    """Return the least c with which a window may correlate so well with the whole, whatever r is.

    The bound is at most √(c² + rest²), or the rest where c is negative.
    """
    beyond = max(0.0, correlation - ROUNDING) ** 2 - other.rest**2
    return math.sqrt(beyond) if beyond > 0 else -1.0


def best_windows(picture: Windows, other: Windows, count: int, least: float = -1.0) -> list[Window]:
    """Return the windows of a picture that the whole of another shows best, of those that correlate so well."""
    coarse = (other.whole_tones @ picture.tones).max(axis=0)
    rows = np.flatnonzero(_reaching(picture, [other], coarse[None], least))
    if len(rows) > TRIED:
        tried = picture.parts(rows[np.argpartition(-coarse[rows], TRIED)[:TRIED]]) @ other.wholes
        enough = max(least, float(np.partition(tried.ravel(), -count)[-count]))
        rows = np.flatnonzero(_reaching(picture, [other], coarse[None], enough))
    correlations = picture.parts(rows) @ other.wholes
    places = np.argsort(-correlations.ravel(), kind="stable")[:count]
    found = (_window(rows, correlations, int(place)) for place in places)
    return sorted((each for each in found if each.correlation >= least), reverse=True)


def _window(numbers: Array, correlations: Floats, place: int) -> Window:
    """Return the window at a place of a flat table of correlations [n, 8], whose rows are windows of these numbers."""
    row, orientation = divmod(place, correlations.shape[1])
    (top, high), (left, wide) = (spans()[side] for side in divmod(int(numbers[row]), len(spans())))
    return Window(float(correlations[row, orientation]), left, top, wide, high, orientation)
