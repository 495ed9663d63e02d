"""Borders cut off, and the small gray frame that pictures are compared in."""

from collections.abc import Callable
from functools import lru_cache
from math import ceil

import cv2
import numpy as np
from PIL import Image

from curation.arrays import Bytes, Ints
from shared.images.picture import Picture

Bounds = tuple[int, int, int, int]
"""Left, top, right, bottom, as Pillow counts."""

TOLERANCE = 12
"""Gray levels, in each channel, by which a border may stray from its colour: JPEG does that to a plain one."""
UNIFORM = 0.99
"""Share of a line that must have the border's colour."""
KEPT = 0.25
"""A side is never cut below this share: what is smaller is an object on a ground, and the ground belongs to it."""
SAMPLES = 256
"""Pixels looked at along a line, evenly spaced."""
FEW = 24
"""Pixels of a line that are looked at first."""
BLOCK, WIDER, WIDEST = 4, 4, 128
"""Lines of a border that are looked at together: at first, by what factor more each time, and at most."""
ROUNDS = 3
"""Borders around borders that are cut, such as bars beside a picture that is itself letterboxed."""
LEAST = 16
"""Shortest side of a frame, in pixels: strips are widened to it, since every map between frames is affine."""

Levels = tuple[int, ...]
Alike = Callable[[int, int, Levels, Levels], Ints]
"""255 times how many samples of each line from one place to another lie between two colours, the levels of each."""


def trimmed_picture(picture: Picture) -> Picture:
    """Return a picture without its uniform borders: itself if it has none."""
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = bounds = inner_bounds(picture.pixels)
    return picture if bounds == (0, 0, width, height) else Picture(picture.pixels[top:bottom, left:right])


def inner_bounds(pixels: Bytes) -> Bounds:
    """Return what is inside the uniform borders of RGB pixels [height, width, 3].

    Looks at one line of each edge, and further only where that is uniform.
    """
    bounds = (0, 0, pixels.shape[1], pixels.shape[0])
    for _ in range(ROUNDS):
        inner = _inside(pixels, bounds)
        if inner == bounds:
            break
        bounds = inner
    return bounds


def gray_frame(image: Image.Image, side: int) -> Bytes:
    """Return gray pixels [height, width], the longer side `side`, the shorter in proportion but at least LEAST."""
    scale = side / max(image.size)
    width, height = (max(LEAST, round(length * scale)) for length in image.size)
    gray = image if image.mode == "L" else image.convert("L")
    return np.asarray(gray.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0))


def _inside(pixels: Bytes, box: Bounds) -> Bounds:
    """Cut each of the four edges once, each seen over the whole of the given box."""
    left, top, right, bottom = box
    height, width = pixels.shape[:2]
    across, down = _evenly(left, right), _evenly(top, bottom)

    def rows(first: int, last: int, low: Levels, high: Levels) -> Ints:
        within = cv2.inRange(pixels[first:last].take(across, axis=1), low, high)
        return np.asarray(cv2.reduce(within, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S), np.int64).ravel()

    def columns(first: int, last: int, low: Levels, high: Levels) -> Ints:
        within = cv2.inRange(pixels[down, first:last], low, high)  # `take` would copy all rows first
        return np.asarray(cv2.reduce(within, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S), np.int64).ravel()

    sides = pixels[:, left : right : max(1, right - left - 1)].take(down, axis=0).swapaxes(0, 1)
    x0, x1 = _cut(columns, sides, left, right, ceil(KEPT * width))
    ends = pixels[top : bottom : max(1, bottom - top - 1)].take(across, axis=1)
    y0, y1 = _cut(rows, ends, top, bottom, ceil(KEPT * height))
    return x0, y0, x1, y1


@lru_cache(maxsize=512)
def _evenly(first: int, last: int) -> Ints:
    """Return the places that are looked at along a line, the middles of SAMPLES equal pieces."""
    count = min(SAMPLES, last - first)
    return (first + (np.arange(count) + 0.5) * ((last - first) / count)).astype(np.int64)


def _cut(alike: Alike, outermost: Bytes, first: int, last: int, least: int) -> tuple[int, int]:
    """Return what is left of first:last without the border at either end; all of it where nothing differs."""
    varied = _are_varied(outermost)
    start = first if varied[0] else _end(alike, outermost[0], range(first, last))
    if start == last:
        return first, last
    stop = last if varied[-1] else _end(alike, outermost[-1], range(last - 1, first - 1, -1)) + 1
    missing = max(0, least - (stop - start))
    start = max(first, min(start - missing // 2, last - least))  # grow around what is left, inside the old bounds
    return start, max(stop, min(last, start + least))


def _are_varied(lines: Bytes) -> list[bool]:
    """Return whether a few pixels of each line [lines, samples, 3] show already that it is not uniform.

    Uniform ones have at most 2 others among SAMPLES: without these, any few span at most twice the tolerance.
    """
    few = np.sort(lines[:, :: max(1, lines.shape[1] // FEW)], axis=1)
    if few.shape[1] <= 4:
        return [False] * len(few)
    varied: list[bool] = np.any(few[:, -3] - few[:, 2] > 2 * TOLERANCE, axis=1).tolist()
    return varied


def _end(alike: Alike, outermost: Bytes, places: range) -> int:
    """Return the first of some lines that lacks the colour of the outermost one; behind the last where none does."""
    samples = len(outermost)
    ground = np.partition(outermost, samples // 2, axis=0)[samples // 2].tolist()
    low, high = tuple(level - TOLERANCE for level in ground), tuple(level + TOLERANCE for level in ground)
    least = 255 * ceil(UNIFORM * samples)
    depth, size = 0, BLOCK
    while block := places[depth : depth + size]:
        counts = alike(min(block), max(block) + 1, low, high)[:: places.step].tolist()
        for place, count in zip(block, counts, strict=True):
            if count < least:
                return place
        depth, size = depth + size, min(WIDEST, WIDER * size)
    return places.stop
