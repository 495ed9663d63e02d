"""Small thumbnails in colour, stored with the measurements: they dismiss most pairs that embeddings propose.

A copy shows what the other shows, or a part of it, upright, mirrored or turned. Of 21,000 pairs of neighbours among
other people's photographs 9 in 10 correlate below .85 in the best window, of copies 1 in 50.
"""

from itertools import pairwise

import cv2
import numpy as np

from curation.arrays import Bools, Bytes, Floats, Ints
from curation.dedup.geometry.window_search import PART_OF, Window, best_correlation, best_window, may_reach
from curation.dedup.geometry.windows import (
    ORIENTATIONS,
    SIDE,
    Windows,
    averaging,
    described,
    normed,
    places_of_turns,
    turned,
)
from shared.images.picture import Pixels

TINT = 8
"""Gray levels [32, 32], and blue and red difference [8, 8] each."""
LENGTH = SIDE * SIDE + 2 * TINT * TINT
AS_ONE, SAME_TINT = 0.995, 6.0
"""Two thumbnails that correlate so well, their colours at most so far apart on average, may stand for each other."""

BEYOND_DOUBT = 0.93
"""Correlation of a window from which colours are not asked: one neighbour in twenty that is no copy gets there."""
BLOCK = 4096
"""Pairs that are compared at once."""
MOST = 4096
"""Thumbnails whose windows are held at once, 80 kB each."""
PATCHES = 4
"""Along each side of a window, whose mean colours are compared."""
TINTED, SAME_HUES = 6.0, 0.25
"""Root mean square of blue and red difference from which a picture has colours, and the least cosine between those of a
copy and its original: of other photographs in doubt, two in five are below, of copies one in a hundred."""


def drawn(tiny: Pixels, small_gray: Pixels) -> Bytes:
    """Return thumbnails [n, 1152] of pictures squashed to squares: [n, 32, 32, 3] in colour, [n, 128, 128] in gray."""
    count = len(tiny)
    gray = cv2.resize(small_gray.reshape(-1, small_gray.shape[2]), (SIDE, count * SIDE), interpolation=cv2.INTER_AREA)
    tints = cv2.cvtColor(tiny.reshape(-1, *tiny.shape[2:]), cv2.COLOR_RGB2YCrCb)[..., :0:-1]
    tints = cv2.resize(np.ascontiguousarray(tints), (TINT, count * TINT), interpolation=cv2.INTER_AREA)
    planes = tints.reshape(count, TINT * TINT, 2).swapaxes(1, 2)
    return np.concatenate([gray.reshape(count, -1), planes.reshape(count, -1)], axis=1)


def thumbnails(column: list[bytes]) -> Bytes:
    """Return rows [n, 1152] of thumbnails."""
    return np.frombuffer(b"".join(column), dtype=np.uint8).reshape(-1, LENGTH)


def may_show(rows: Bytes, couples: Ints) -> Bools:
    """Return for couples [k, 2] of thumbnails [n, 1152] whether either of both may show a part of the other.

    In gray levels, and in colours where both have any. Where the gray levels leave no doubt, colours are not asked:
    copies are recoloured, too. Of at most MOST thumbnails the windows are held: couples that hang together should stand
    together, since what stands in both halves of them is described twice.
    """
    numbers, sides = np.unique(couples, return_inverse=True)
    if len(numbers) > max(MOST, 2):
        return np.concatenate([may_show(rows, half) for half in np.array_split(couples, 2)])
    sides, some = sides.reshape(-1, 2), rows[numbers]
    pictures = described(some[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE))
    likely = _may_reach(pictures, sides)
    for couple in np.flatnonzero(likely).tolist():
        one, other = sides[couple].tolist()
        likely[couple] = _shows(some[[one, other]], pictures[one], pictures[other])
    return likely


def _may_reach(pictures: list[Windows], couples: Ints) -> Bools:
    """Return for couples [k, 2] whether a window of either may correlate with the whole of the other as it must."""
    both_ways = np.concatenate([couples, couples[:, ::-1]])
    order = np.argsort(both_ways[:, 0], kind="stable")
    edges = np.searchsorted(both_ways[order, 0], np.arange(len(pictures) + 1)).tolist()
    reached = np.zeros(len(both_ways), dtype=bool)
    for picture, (begin, end) in zip(pictures, pairwise(edges), strict=True):
        rows = order[begin:end]
        if len(rows):
            reached[rows] = may_reach(picture, [pictures[whole] for whole in both_ways[rows, 1].tolist()])
    return np.asarray(reached.reshape(2, -1).any(axis=0))


def _shows(rows: Bytes, one: Windows, other: Windows) -> bool:
    correlation = best_correlation(one, other)
    if correlation < PART_OF or correlation >= BEYOND_DOUBT:
        return correlation >= BEYOND_DOUBT
    window, swapped = best_window(one, other)
    picture, whole = (_tints(row) for row in (rows[::-1] if swapped else rows))
    return _same_colours(picture, whole, window)


def _tints(row: Bytes) -> Floats:
    return row[SIDE * SIDE :].reshape(2, TINT, TINT).astype(np.float32) - 128


def _same_colours(picture: Floats, whole: Floats, window: Window) -> bool:
    """Return whether a window of one picture has the colours of the whole of another one."""
    shown = np.stack([turned(plane, *ORIENTATIONS[window.orientation]) for plane in whole])
    across, down = (averaging(TINT, *span, PATCHES) for span in ((window.left, window.wide), (window.top, window.high)))
    whole_side = averaging(TINT, 0, 1, PATCHES)
    x, y = down @ picture @ across.T, whole_side @ shown @ whole_side.T
    norms = np.linalg.norm(x), np.linalg.norm(y)
    if min(norms) < TINTED * PATCHES:
        return True
    return bool(np.vdot(x, y) >= SAME_HUES * norms[0] * norms[1])


def as_one(one: Bytes, other: Bytes) -> bool:
    """Return whether two thumbnails show one picture, as far as they can tell, upright and in its colours."""
    x, y = (normed(row[: SIDE * SIDE].astype(np.float32)) for row in (one, other))
    tint = np.abs(one[SIDE * SIDE :].astype(np.float32) - other[SIDE * SIDE :]).mean()
    return float(x @ y) >= AS_ONE and float(tint) <= SAME_TINT


def of_one_frame(ones: Bytes, others: Bytes) -> Bools:
    """Return, for rows [n] of thumbnails, whether either may show the whole of the other, in any orientation."""
    likely = np.zeros(len(ones), dtype=bool)
    for start in range(0, len(ones), BLOCK):
        x, y = (normed(rows[start : start + BLOCK, : SIDE * SIDE].astype(np.float32)) for rows in (ones, others))
        turns = [np.einsum("ij,ij->i", x, y[:, places]) for places in places_of_turns(SIDE)]
        likely[start : start + BLOCK] = np.max(turns, axis=0) >= PART_OF
    return likely
