"""Small thumbnails in colour, stored with the measurements, and whether two show one whole picture."""

from collections.abc import Iterator

import cv2
import numpy as np

from curation.arrays import Bools, Bytes, Floats
from curation.dedup.geometry.window_search import PART_OF
from curation.dedup.geometry.windows import SIDE, normed, places_of_turns
from shared.images.halves import Pixels

TINT = 8
"""Gray levels [32, 32], and blue and red difference [8, 8] each."""
LENGTH = SIDE * SIDE + 2 * TINT * TINT
AS_ONE, SAME_TINT = 0.995, 6.0
"""Two thumbnails that correlate so well, their colours at most so far apart on average, may stand for each other."""

BLOCK = 4096
"""Pairs that are compared at once."""


def drawn(tiny: Pixels, small_gray: Pixels) -> Bytes:
    """Return thumbnails [n, 1152] of pictures squashed to squares: [n, 32, 32, 3] in colour, [n, 128, 128] in gray."""
    count = len(tiny)
    gray = cv2.resize(small_gray.reshape(-1, small_gray.shape[2]), (SIDE, count * SIDE), interpolation=cv2.INTER_AREA)
    tints = cv2.cvtColor(tiny.reshape(-1, *tiny.shape[2:]), cv2.COLOR_RGB2YCrCb)[..., :0:-1]
    tints = cv2.resize(np.ascontiguousarray(tints), (TINT, count * TINT), interpolation=cv2.INTER_AREA)
    planes = tints.reshape(count, TINT * TINT, 2).swapaxes(1, 2)
    return np.concatenate([gray.reshape(count, -1), planes.reshape(count, -1)], axis=1)


def picture_of(row: Bytes, width: int, height: int) -> Pixels:
    """Return what one thumbnail [1152] shows, enlarged smoothly to [height, width, 3] in colour.

    What it shows is the picture without uniform borders: those are not there again.
    """
    gray, tints = np.split(row, [SIDE * SIDE])
    blue, red = tints.reshape(2, TINT, TINT)
    planes = (gray.reshape(SIDE, SIDE), red, blue)
    enlarged = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC) for plane in planes]
    return np.asarray(cv2.cvtColor(np.stack(enlarged, axis=2), cv2.COLOR_YCrCb2RGB), np.uint8)


def as_one(ones: Bytes, others: Bytes) -> Bools:
    """Return, for rows [n] of thumbnails, whether both show one picture, as far as they can tell.

    Upright and in its colours.
    """
    alike = np.zeros(len(ones), dtype=bool)
    for some, x, y in _grays(ones, others):
        tints = ones[some, SIDE * SIDE :].astype(np.float32) - others[some, SIDE * SIDE :]
        alike[some] = (np.einsum("ij,ij->i", x, y) >= AS_ONE) & (np.abs(tints).mean(axis=1) <= SAME_TINT)
    return alike


def of_one_frame(ones: Bytes, others: Bytes) -> Bools:
    """Return, for rows [n] of thumbnails, whether either may show the whole of the other, in any orientation."""
    likely = np.zeros(len(ones), dtype=bool)
    for some, x, y in _grays(ones, others):
        # y[:, places] would stand column by column, and take ten times as long to turn and to multiply.
        turns = [np.einsum("ij,ij->i", x, y.take(places, axis=1)) for places in places_of_turns(SIDE)]
        likely[some] = np.max(turns, axis=0) >= PART_OF
    return likely


def _grays(ones: Bytes, others: Bytes) -> Iterator[tuple[slice, Floats, Floats]]:
    """Yield the gray levels of some pairs at a time, centred and of unit norm, and which pairs they are."""
    for start in range(0, len(ones), BLOCK):
        some = slice(start, start + BLOCK)
        x, y = (normed(rows[some, : SIDE * SIDE].astype(np.float32)) for rows in (ones, others))
        yield some, x, y
