"""Pillow's LANCZOS resize to 32 × 32, bit for bit, through matrix products: in a third of the time.

Pillow sums integers, pixels times weights of 22 bits, and rounds them to levels, first along rows, then along columns.
A sum of doubles is exact here: 8 bits of a pixel, 22 of a weight and as many additions as a picture is wide stay below
the 53 that a double holds.
"""

from functools import lru_cache
from math import ceil
from typing import Any

import cv2
import numpy as np
from PIL import Image

from shared.images.halves import Pixels

Doubles = np.ndarray[Any, np.dtype[np.float64]]

Blocks = tuple[tuple[int, Doubles], ...]
"""For each BLOCK pixels of the result the first pixel that they are made of, and the weights [pixels, BLOCK]."""

SIDE = 32
LOBES = 3
"""Support of the filter, in pixels of the result."""
PRECISION = 22
"""Bits of a weight behind the point, as in Pillow's Resample.c."""
TALLEST = 1.5
"""Pillow shrinks the rows of taller images first: those are left to it, and so are the smallest."""
BLOCK = 8
"""Pixels of the result that one product makes: it reads a third of the image instead of all."""
BAND = 1 << 17
"""Pixels of one channel that are worked on at a time: as doubles they stay in a core's cache."""


def shrunk(pixels: Pixels, size: tuple[float, float]) -> Pixels:
    """Return RGB pixels [32, 32, 3] of RGB pixels [height, width, 3]: Pillow's `resize` with LANCZOS.

    `size` is how wide and high the picture is: of the last column and row it may have only a part.
    """
    height, width = pixels.shape[:2]
    if not (width >= 2 * SIDE and 2 * SIDE <= height <= TALLEST * width):
        return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS, (0, 0, *size)))
    sums = np.empty((3, height, SIDE))
    step = max(1, BAND // width)
    levels = np.empty((min(step, height), width))
    for top in range(0, height, step):
        for plane, band in zip(cv2.split(pixels[top : top + step]), sums[:, top : top + step], strict=True):
            levels[: len(plane)] = plane
            for i, (first, weights) in enumerate(_blocks(size[0])):
                part = levels[: len(plane), first : first + len(weights)]
                np.matmul(part, weights, out=band[:, i * BLOCK : (i + 1) * BLOCK])
    rows = _rounded(sums)
    columns = [weights.T @ rows[:, first : first + len(weights)] for first, weights in _blocks(size[1])]
    small = _rounded(np.concatenate(columns, axis=1))
    return np.ascontiguousarray(small.transpose(1, 2, 0).astype(np.uint8))


def _rounded(sums: Doubles) -> Doubles:
    """Return the levels next to some sums, in their place."""
    sums += 0.5
    np.floor(sums, out=sums)
    return np.clip(sums, 0, 255, out=sums)


@lru_cache(maxsize=512)
def _blocks(length: float) -> Blocks:
    """Return the weights for lines of so many pixels, in the very steps of Pillow's precompute_coeffs."""
    scale = length / SIDE
    reach = LOBES * scale
    centres = (np.arange(SIDE) + 0.5) * scale
    firsts = np.maximum(0, (centres - reach + 0.5).astype(np.int64))
    lasts = np.minimum(ceil(length), (centres + reach + 0.5).astype(np.int64))
    places = firsts[:, None] + np.arange((lasts - firsts).max())
    values = _lanczos((places - centres[:, None] + 0.5) * (1.0 / scale))
    values[places >= lasts[:, None]] = 0.0
    totals = np.cumsum(values, axis=1)[:, -1:]  # one after the other: a sum in another order has other last bits
    parts = values * (1.0 / totals) * (1 << PRECISION)
    weights = np.trunc(parts + np.copysign(0.5, parts)) / (1 << PRECISION)
    blocks = []
    for low in range(0, SIDE, BLOCK):
        first, last = int(firsts[low]), int(lasts[low + BLOCK - 1])
        matrix = np.zeros((last - first, BLOCK))
        for x in range(BLOCK):
            window = slice(firsts[low + x] - first, lasts[low + x] - first)
            matrix[window, x] = weights[low + x, : lasts[low + x] - firsts[low + x]]
        blocks.append((first, matrix))
    return tuple(blocks)


def _lanczos(x: Doubles) -> Doubles:
    return np.where((x >= -LOBES) & (x < LOBES), _sinc(x) * _sinc(x / LOBES), 0.0)


def _sinc(x: Doubles) -> Doubles:
    angle = x * np.pi
    return np.divide(np.sin(angle), angle, out=np.ones_like(angle), where=angle != 0)
