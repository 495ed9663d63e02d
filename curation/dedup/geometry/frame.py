"""Borders cut off, and the small gray frame that pictures are compared in."""

from collections.abc import Callable
from math import ceil

import numpy as np
from PIL import Image

from curation.arrays import Bytes

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
ROUNDS = 3
"""Borders around borders that are cut, such as bars beside a picture that is itself letterboxed."""
LEAST = 16
"""Shortest side of a frame, in pixels: strips are widened to it, since every map between frames is affine."""

Lines = Callable[[int, int], Bytes]
"""Pixels [lines, samples, 3] of the lines from one depth to another, counted from an edge."""


def trimmed(image: Image.Image) -> Image.Image:
    """Return an RGB image without its uniform borders: itself if it has none."""
    bounds = inner_bounds(image)
    return image if bounds == (0, 0, *image.size) else image.crop(bounds)


def inner_bounds(image: Image.Image) -> Bounds:
    """Return what is inside the uniform borders of an RGB image.

    Looks at one line of each edge, and further only where that is uniform: .2 ms where none is.
    """
    bounds = (0, 0, *image.size)
    for _ in range(ROUNDS):
        inner = _inside(image, bounds)
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


def _inside(image: Image.Image, box: Bounds) -> Bounds:
    """Cut each of the four edges once, each seen over the whole of the given box."""
    left, top, right, bottom = box

    def rows(first: int, last: int) -> Bytes:
        return _pixels(image, (min(SAMPLES, right - left), last - first), (left, first, right, last))

    def columns(first: int, last: int) -> Bytes:
        upright = _pixels(image, (last - first, min(SAMPLES, bottom - top)), (first, top, last, bottom))
        return upright.swapaxes(0, 1)

    x0, x1 = _cut(columns, left, right, ceil(KEPT * image.width))
    y0, y1 = _cut(rows, top, bottom, ceil(KEPT * image.height))
    return x0, y0, x1, y1


def _pixels(image: Image.Image, size: tuple[int, int], box: Bounds) -> Bytes:
    """Copy out a few pixels only: an array of the whole image would cost more than all the rest."""
    return np.asarray(image.resize(size, Image.Resampling.NEAREST, box=box))


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
    ground = np.sort(block[0], axis=0)[block.shape[1] // 2].astype(int)
    low, high = (np.clip(ground + by, 0, 255).astype(np.uint8) for by in (-TOLERANCE, TOLERANCE))
    depth = 0
    while True:
        within = (block >= low) & (block <= high)
        alike = (within[..., 0] & within[..., 1] & within[..., 2]).mean(1) >= UNIFORM
        if not alike.all():
            return depth + int(alike.argmin())
        depth += len(block)
        if depth >= count:
            return count
        block = lines(depth, min(count, depth + min(128, 2 * len(block))))
