"""Pairs of small thumbnails: most that embeddings propose are dismissed, as neither shows a part of the other.

A copy shows what the other shows, or a part of it, upright, mirrored or turned. Of 21,000 pairs of neighbours among
other people's photographs 9 in 10 correlate below .85 in the best window, of copies 1 in 50.
"""

from itertools import pairwise

import numpy as np

from curation.arrays import Bools, Bytes, Floats, Ints
from curation.dedup.components import components
from curation.dedup.geometry.window_search import PART_OF, Window, best_correlation, best_window, may_reach
from curation.dedup.geometry.windows import ORIENTATIONS, SIDE, Windows, averaging, described, turned
from curation.dedup.thumbnails import TINT

BEYOND_DOUBT = 0.93
"""Correlation of a window from which colours are not asked: one neighbour in twenty that is no copy gets there."""
MOST = 4096
"""Thumbnails whose windows are held at once, 80 kB each."""
PATCHES = 4
"""Along each side of a window, whose mean colours are compared."""
TINTED, SAME_HUES = 6.0, 0.25
"""Root mean square of blue and red difference from which a picture has colours, and the least cosine between those of a
copy and its original: of other photographs in doubt, two in five are below, of copies one in a hundred."""


def may_show(rows: Bytes, couples: Ints) -> Bools:
    """Return for couples [k, 2] of thumbnails [n, 1152] whether either of both may show a part of the other.

    In gray levels, and in colours where both have any. Where the gray levels leave no doubt, colours are not asked:
    copies are recoloured, too.
    """
    images, groups = components(couples)
    order = np.argsort(groups[np.searchsorted(images, couples[:, 0])], kind="stable")
    likely = np.empty(len(couples), dtype=bool)
    likely[order] = _may_show(rows, couples[order])
    return likely


def _may_show(rows: Bytes, couples: Ints) -> Bools:
    """Return the same, holding the windows of at most MOST thumbnails: those that stand in both halves are made twice.

    So couples that hang together should stand together.
    """
    numbers, sides = np.unique(couples, return_inverse=True)
    if len(numbers) > max(MOST, 2):
        return np.concatenate([_may_show(rows, half) for half in np.array_split(couples, 2)])
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
