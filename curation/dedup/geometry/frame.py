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
ROUNDS = 3
"""Borders around borders that are cut, such as bars beside a picture that is itself letterboxed."""
LEAST = 16
"""Shortest side of a frame, in pixels: strips are widened to it, since every map between frames is affine."""

Lines = Callable[[int, int], Bytes]
"""Pixels [lines, samples, 3] of the lines from one depth to another, counted from an edge."""


def trimmed(image: Image.Image) -> Image.Image:
    """Return an RGB image without its uniform borders: itself if it has none."""
    bounds = inner_bounds(np.asarray(image))
    return image if bounds == (0, 0, *image.size) else image.crop(bounds)


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

    def rows(first: int, last: int) -> Bytes:
        return pixels[first:last, across]

    def columns(first: int, last: int) -> Bytes:
        return pixels[down, first:last].swapaxes(0, 1)

    x0, x1 = _cut(columns, left, right, ceil(KEPT * width))
    y0, y1 = _cut(rows, top, bottom, ceil(KEPT * height))
    return x0, y0, x1, y1


@lru_cache(maxsize=512)
def _evenly(first: int, last: int) -> Ints:
    """Return the places that are looked at along a line, the middles of SAMPLES equal pieces."""
    count = min(SAMPLES, last - first)
    return (first + (np.arange(count) + 0.5) * ((last - first) / count)).astype(np.int64)


def _cut(lines: Lines, first: int, last: int, least: int) -> tuple[int, int]:
    """Return what is left of first:last without the border at either end; all of it where nothing differs."""
    before = _depth(lambda i, j: lines(first + i, first + j), last - first)
    if before == last - first:
        return first, last
    after = _depth(lambda i, j: lines(last - j, last - i)[::-1], last - first)
    start, stop = first + before, last - after
    missing = max(0, least - (stop - start))
    start = max(first, min(start - missing // 2, last - least))  # grow around what is left, inside the old bounds
    return start, max(stop, min(last, start + least))


def _depth(lines: Lines, count: int) -> int:
    """Return how many lines from an edge have the colour of the outermost one."""
    block = lines(0, 1)
    if _is_varied(block[0]):
        return 0
    ground = np.sort(block[0], axis=0)[block.shape[1] // 2].astype(int)
    low, high = tuple((ground - TOLERANCE).tolist()), tuple((ground + TOLERANCE).tolist())
    depth = 0
    while True:
        within = cv2.inRange(np.ascontiguousarray(block), low, high)
        alike = np.count_nonzero(within, axis=1) >= UNIFORM * block.shape[1]
        if not alike.all():
            return depth + int(alike.argmin())
        depth += len(block)
        if depth >= count:
            return count
        block = lines(depth, min(count, depth + min(128, 2 * len(block))))


def _is_varied(line: Bytes) -> bool:
    """Return whether a few pixels show already that a line is not uniform.

    Uniform ones have at most 2 others among SAMPLES: without these, any few span at most twice the tolerance.
    """
    few = np.sort(line[:: max(1, len(line) // FEW)], axis=0)
    return len(few) > 4 and bool((few[-3] - few[2] > 2 * TOLERANCE).any())
