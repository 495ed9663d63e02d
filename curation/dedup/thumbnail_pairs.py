"""Pairs of small thumbnails: most that embeddings propose are dismissed, as neither shows a part of the other.

A copy shows what the other shows, or a part of it, upright, mirrored or turned. Of 21,000 pairs of neighbours among
other people's photographs 9 in 10 correlate below .85 in the best window, of copies 1 in 50.
"""

from functools import cache
from itertools import pairwise

import numpy as np

from curation.arrays import Bools, Bytes, Floats, Ints
from curation.dedup.components import components
from curation.dedup.geometry.window_search import Window, best_shown
from curation.dedup.geometry.windows import SIDE, Windows, averaging, described, places_of_turns
from curation.dedup.thumbnails import TINT

BEYOND_DOUBT = 0.93
"""Correlation of a window from which colours are not asked: one neighbour in twenty that is no copy gets there."""
MOST = 4096
"""Thumbnails whose windows are held at once, 80 kB each."""
TOGETHER = 64
"""Thumbnails that one is compared with at once."""
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
    shown, showing = _best_shown(pictures, sides), _best_shown(pictures, sides[:, ::-1])
    likely = np.zeros(len(sides), dtype=bool)
    for couple in shown.keys() | showing.keys():
        likely[couple] = _shows(shown.get(couple), showing.get(couple), some[sides[couple]])
    return likely


def _best_shown(pictures: list[Windows], couples: Ints) -> dict[int, Window]:
    """Return the window of the first of each couple [k, 2] that the whole of the second shows best, where any does."""
    order = np.argsort(couples[:, 0], kind="stable")
    edges = np.searchsorted(couples[order, 0], np.arange(len(pictures) + 1))
    found = dict[int, Window]()
    for picture, (begin, end) in zip(pictures, pairwise(edges.tolist()), strict=True):
        for start in range(begin, end, TOGETHER):
            some = order[start : min(end, start + TOGETHER)]
            windows = best_shown(picture, [pictures[whole] for whole in couples[some, 1].tolist()])
            found |= {int(some[number]): window for number, window in windows.items()}
    return found


def _shows(one: Window | None, other: Window | None, rows: Bytes) -> bool:
    """Return whether the better of the windows in which either of two thumbnails shows the other has its colours."""
    best = max((window for window in (one, other) if window), key=lambda each: each.correlation)
    if best.correlation >= BEYOND_DOUBT:
        return True
    picture, whole = (_tints(row) for row in (rows if best is one else rows[::-1]))
    return _same_colours(picture, whole, best)


def _tints(row: Bytes) -> Floats:
    return row[SIDE * SIDE :].reshape(2, TINT, TINT).astype(np.float32) - 128


def _same_colours(picture: Floats, whole: Floats, window: Window) -> bool:
    """Return whether a window of one picture has the colours of the whole of another one."""
    shown = whole.reshape(2, -1).take(places_of_turns(TINT)[window.orientation], axis=1).reshape(whole.shape)
    across, down = (_patches(*span) for span in ((window.left, window.wide), (window.top, window.high)))
    whole_side = _patches(0, 1)
    x, y = down @ picture @ across.T, whole_side @ shown @ whole_side.T
    norms = np.sqrt(np.vdot(x, x)), np.sqrt(np.vdot(y, y))
    if min(norms) < TINTED * PATCHES:
        return True
    return bool(np.vdot(x, y) >= SAME_HUES * norms[0] * norms[1])


@cache
def _patches(start: float, share: float) -> Floats:
    """Return the rows [4, 8] that average the tints of each patch along one side of a window."""
    return averaging(TINT, start, share, PATCHES)
