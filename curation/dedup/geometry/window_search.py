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


def best_correlation(one: Windows, other: Windows) -> float:
    """Return how well either whole shows a window of the other; something below PART_OF where that is below."""
    return max(_shown(one, other), _shown(other, one))


def may_reach(picture: Windows, wholes: Sequence[Windows]) -> Bools:
    """Return for which of some wholes [n] the picture may have a window that correlates with them by PART_OF."""
    coarse = np.concatenate([each.whole_tones for each in wholes]) @ picture.tones
    least = np.array([_least_coarse(each, PART_OF) for each in wholes])
    return np.asarray(coarse.reshape(len(wholes), -1).max(axis=1) >= least)


def _shown(picture: Windows, other: Windows) -> float:
    """Return the best correlation of a window with the whole, by comparing those that may reach PART_OF."""
    coarse = (other.whole_tones @ picture.tones).max(axis=0)
    rows = _reaching(picture, other, coarse, PART_OF)
    return float((picture.parts(rows) @ other.wholes).max()) if len(rows) else -1.0


def _reaching(picture: Windows, other: Windows, coarse: Floats, correlation: float) -> Array:
    """Return the windows that may correlate so well with the whole, from what their coarse waves do, [729].

    Let c be that, and r the norm of what a window has beside its coarse waves, of norm 1. By Cauchy and Schwarz the
    whole correlates with it by at most (c + r·rest) / √(1 + r²).
    """
    least = _least_coarse(other, correlation)
    worst = other.rest / least if least > 0 else math.inf  # the r of the greatest bound
    alike = (correlation - ROUNDING) * picture.spread - other.rest * picture.fine
    return np.flatnonzero(coarse >= np.where(picture.fine < worst, alike, least))


def _least_coarse(other: Windows, correlation: float) -> float:
    """Return the least c with which a window may correlate so well with the whole, whatever r is.

    The bound is at most √(c² + rest²), or the rest where c is negative.
    """
    beyond = max(0.0, correlation - ROUNDING) ** 2 - other.rest**2
    return math.sqrt(beyond) if beyond > 0 else -1.0


def best_window(one: Windows, other: Windows) -> tuple[Window, bool]:
    """Return the window in which either whole is shown best, and whether it is a window of the other one."""
    found = [(best_windows(one, other, 1)[0], False), (best_windows(other, one, 1)[0], True)]
    return max(found, key=lambda each: each[0].correlation)


def best_windows(picture: Windows, other: Windows, count: int) -> list[Window]:
    """Return the windows of a picture that the whole of another shows best."""
    sides, coarse = spans(), (other.whole_tones @ picture.tones).max(axis=0)
    some = picture.parts(np.argpartition(-coarse, TRIED)[:TRIED]) @ other.wholes
    rows = _reaching(picture, other, coarse, float(np.partition(some.ravel(), -count)[-count]))
    correlations = picture.parts(rows) @ other.wholes
    found = []
    for place in np.argsort(-correlations.ravel(), kind="stable")[:count]:
        row, orientation = divmod(int(place), correlations.shape[1])
        (top, high), (left, wide) = (sides[side] for side in divmod(int(rows[row]), len(sides)))
        found.append(Window(float(correlations[row, orientation]), left, top, wide, high, orientation))
    return sorted(found, reverse=True)
