"""Quality signals of images, in absolute units: pixels in, numbers out.

Definitions follow cleanvision (github.com/cleanlab/cleanvision, `image_property.py`), so that its thresholds
carry over; `detail` gates hashes, which collide on images with nothing in them. What is sampled or shrunk for
speed agrees with full precision to .02 (brightness, sharpness), .01 bit (entropy) and a tenth (detail) on 120
photographs, by the median to a third of that. On 50 large ones, which are halved before, entropy is off by .009
bit at most, and sharpness by .03, as it was without.
"""

from collections.abc import Callable
from functools import cache
from math import ceil, floor
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from curation.arrays import Floats
from curation.embedders.blur import blurred_cells
from shared.images.halves import Pixels
from shared.images.picture import Picture, gray_levels

SAMPLED_PIXELS = 1 << 13
"""Brightness is taken from so many pixels at least, evenly spaced: cleanvision takes half as many."""
EVERY = (5, 4, 3, 7, 1)
"""Of large pictures every n-th pixel is counted, n the first of these that does not divide the width: along rows alone
a product on white ground would be off by .05 bit."""
BINS = 4096
"""Steps of brightness that percentiles are told apart by."""
SHARP_SIDE = 64
BLUR, CELLS = 5.67, 32
"""With what averaging over cells and going straight from one to the next add, a blur of 6 px."""
EDGES = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], np.float32)
"""Pillow's FIND_EDGES."""


class Reduced(NamedTuple):
    """Gray levels on their way to the size that Pillow's `thumbnail` gives."""

    gray: Pixels
    size: tuple[int, int]
    """Width and height that they are to have."""


def signals(picture: Picture) -> dict[str, float]:
    """Return what needs most pixels of a picture, or none: aspect and entropy."""
    height, width = picture.pixels.shape[:2]
    counted = picture.gray
    if picture.is_large:
        counted = gray_levels(picture.pixels).reshape(1, -1)[:, :: next(n for n in EVERY if width % n or n == 1)]
    return {
        "aspect": min(width, height) / max(width, height),
        "entropy": Image.fromarray(np.ascontiguousarray(counted)).entropy(),
    }


def evenly_spaced(pixels: Pixels) -> Pixels:
    """Return at least SAMPLED_PIXELS of RGB pixels [height, width, 3], where there are so many."""
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / SAMPLED_PIXELS) ** 0.5))
    return pixels[::step].take(np.arange(0, pixels.shape[1], step), axis=1)


def brightness_percentiles(pixels: Pixels, shares: tuple[int, ...]) -> list[float]:
    """Return percentiles of √(.241 R² + .691 G² + .068 B²) / 255 over RGB pixels, to 1 / BINS."""
    squares = cv2.transform(cv2.LUT(pixels, _weighted_squares()), np.ones((1, 3), np.float32))
    levels = np.sqrt(squares).astype(np.intp).ravel()
    reached = np.cumsum(np.bincount(levels, minlength=BINS))
    places = np.searchsorted(reached, np.asarray(shares) / 100 * (len(levels) - 1), side="right")
    return [float(place) / (BINS - 1) for place in places]


@cache
def _weighted_squares() -> Floats:
    """Return what each level of red, green and blue adds to the square of a brightness in steps [1, 256, 3]."""
    weights = np.array([0.241, 0.691, 0.068])
    levels = np.arange(256)[None, :, None]
    return np.asarray(weights * (levels / 255 * (BINS - 0.999)) ** 2, np.float32)


def reduced(picture: Picture) -> Reduced:
    """Return the gray levels of a picture on their way to SHARP_SIDE; what remains of a line is left out."""
    height, width = picture.pixels.shape[:2]
    size = _thumbnail_size(width, height, SHARP_SIDE)
    gray = picture.gray
    height, width = gray.shape
    across, down = (max(1, int(whole / part / 2)) for whole, part in zip((width, height), size, strict=True))
    if across * down > 1:
        gray = gray[: height // down * down, : width // across * across]
        gray = np.asarray(cv2.resize(gray, (width // across, height // down), interpolation=cv2.INTER_AREA), np.uint8)
    return Reduced(gray, size)


def sharpness(gray: Pixels, size: tuple[int, int]) -> float:
    """Return cleanvision's blur score at 64 px: edge strength, plus how peaked the histogram is, 0 to 1."""
    small = np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC))
    edges = small.copy()
    edges[1:-1, 1:-1] = cv2.filter2D(small, -1, EDGES)[1:-1, 1:-1]
    strength = 1 - np.exp(-0.01 * cv2.meanStdDev(edges)[1][0, 0])
    peak = 1 - np.exp(-0.01 * np.std(np.bincount(small.ravel(), minlength=256)))
    return float(min(1.0, strength + (peak if peak > 0.18 else 0.0)))


def _thumbnail_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the size that Pillow's `thumbnail` gives: never larger, and the aspect kept as well as it goes."""
    if max(width, height) <= side:
        return width, height
    aspect = width / height
    if aspect >= 1:
        return side, _nearest(side / aspect, lambda n: 0 if n == 0 else abs(aspect - side / n))
    return _nearest(side * aspect, lambda n: abs(aspect - n / side)), side


def _nearest(length: float, off: Callable[[int], float]) -> int:
    return max(min(floor(length), ceil(length), key=off), 1)


def details(small: Pixels) -> list[float]:
    """Return the standard deviation of what a blur of 6 px takes away of gray pictures [n, 128, 128], in levels."""
    levels, cells = small.astype(np.float32), blurred_cells(small, BLUR, CELLS).astype(np.float32)
    smooth = (cv2.resize(each, small.shape[1:], interpolation=cv2.INTER_LINEAR) for each in cells)
    return [float(cv2.meanStdDev(sharp - soft)[1][0, 0]) for sharp, soft in zip(levels, smooth, strict=True)]
