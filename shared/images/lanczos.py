"""Pillow's LANCZOS resize to 32 × 32, bit for bit, through a matrix product: in a third of the time.

Pillow sums integers, pixels times weights of 22 bits, and rounds them to levels, first along rows, then along columns.
The product is of 32-bit floats, so what lies near a rounding limit is summed again in integers.
"""

from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

SIDE = 32
LOBES = 3
"""Support of the filter, in pixels of the result."""
PRECISION = 22
"""Bits of a weight behind the point, as in Pillow's Resample.c."""
TALLEST = 1.5
"""Pillow shrinks the rows of taller images first: those are left to it, and so are the smallest."""
BLOCK = 8
"""Columns of the result that one product makes: it reads a third of the image instead of all."""
BAND = 1 << 17
"""Pixels that are worked on at a time: as floats they stay in a core's cache."""


class Taps(NamedTuple):
    """How a row of pixels becomes 32."""

    starts: Ints
    """First pixel of each window [32]."""
    weights: Ints
    """Weights of the pixels from there on [32, taps], times 2²²."""
    blocks: tuple[tuple[int, Floats], ...]
    """For each BLOCK columns of the result the first pixel, and the matrix [pixels, BLOCK] of its weights."""
    error: float
    """What a sum of 32-bit floats may be off, in gray levels."""


def shrunk(pixels: Pixels) -> Pixels:
    """Return RGB pixels [32, 32, 3] of RGB pixels [height, width, 3]: Pillow's `resize` with LANCZOS."""
    height, width = pixels.shape[:2]
    if not (width >= 2 * SIDE and 2 * SIDE <= height <= TALLEST * width):
        return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    rows = np.empty((3, height, SIDE), np.float32)
    step = max(1, BAND // width)
    for top in range(0, height, step):
        band = cv2.split(pixels[top : top + step])
        levels = np.empty((3, len(band[0]), width), np.float32)
        for plane, level in zip(band, levels, strict=True):
            level[:] = plane
        rows[:, top : top + step] = _shortened(levels.reshape(-1, width)).reshape(3, -1, SIDE)
    columns = np.ascontiguousarray(rows.transpose(0, 2, 1)).reshape(-1, height)
    return np.ascontiguousarray(_shortened(columns).reshape(3, SIDE, SIDE).transpose(2, 1, 0).astype(np.uint8))


def _shortened(lines: Floats) -> Floats:
    """Return lines [n, 32] of lines [n, length], whole levels both."""
    taps = _taps(lines.shape[1])
    off = np.empty((len(lines), SIDE), np.float32)
    for i, (first, weights) in enumerate(taps.blocks):
        np.matmul(lines[:, first : first + len(weights)], weights, out=off[:, i * BLOCK : (i + 1) * BLOCK])
    levels = np.rint(off)
    off -= levels
    near = np.flatnonzero(np.abs(off, out=off) >= 0.5 - taps.error)
    line, column = np.divmod(near, SIDE)
    window = taps.starts[column, None] + np.arange(taps.weights.shape[1])
    exact = np.einsum("nk,nk->n", lines[line[:, None], window].astype(np.int64), taps.weights[column])
    levels.ravel()[near] = (exact + (1 << (PRECISION - 1))) >> PRECISION
    return np.clip(levels, 0, 255, out=levels)


@lru_cache(maxsize=128)
def _taps(length: int) -> Taps:
    """Return the weights for lines of so many pixels, in the very steps of Pillow's precompute_coeffs."""
    scale = length / SIDE
    reach = LOBES * scale
    count = min(length, ceil(reach) * 2 + 1)
    centres = (np.arange(SIDE) + 0.5) * scale
    firsts = np.maximum(0, (centres - reach + 0.5).astype(np.int64))
    lasts = np.minimum(length, (centres + reach + 0.5).astype(np.int64))
    starts = np.minimum(firsts, length - count)
    places = starts[:, None] + np.arange(count)
    values = _lanczos((places - centres[:, None] + 0.5) * (1.0 / scale))
    values[(places < firsts[:, None]) | (places >= lasts[:, None])] = 0.0
    totals = np.cumsum(values, axis=1)[:, -1:]  # one after the other: a sum in another order has other last bits
    parts = values * (1.0 / totals) * (1 << PRECISION)
    weights = np.trunc(parts + np.copysign(0.5, parts)).astype(np.int64)
    return Taps(starts, weights, _blocks(starts, weights), _error(weights))


def _lanczos(x: Doubles) -> Doubles:
    return np.where((x >= -LOBES) & (x < LOBES), _sinc(x) * _sinc(x / LOBES), 0.0)


def _sinc(x: Doubles) -> Doubles:
    angle = x * np.pi
    return np.divide(np.sin(angle), angle, out=np.ones_like(angle), where=angle != 0)


def _blocks(starts: Ints, weights: Ints) -> tuple[tuple[int, Floats], ...]:
    blocks = []
    for low in range(0, SIDE, BLOCK):
        first, last = starts[low], starts[low + BLOCK - 1] + weights.shape[1]
        matrix = np.zeros((last - first, BLOCK), np.float32)
        for x in range(BLOCK):
            at = starts[low + x] - first
            matrix[at : at + weights.shape[1], x] = weights[low + x] / (1 << PRECISION)
        blocks.append((int(first), matrix))
    return tuple(blocks)


def _error(weights: Ints) -> float:
    """Return the bound of a sum of n products: (n + 2) · 2⁻²⁴ · Σ |weight| · 255 (Higham 2002, 3.1)."""
    largest = float(np.abs(weights).sum(axis=1).max()) / (1 << PRECISION) * 255
    return float((weights.shape[1] + 2) * 2.0**-24 * largest)
