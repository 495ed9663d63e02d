"""Quality signals of one image, in absolute units: pixels in, numbers out.

Definitions follow cleanvision (github.com/cleanlab/cleanvision, `image_property.py`), so that its thresholds
carry over; `detail` gates hashes, which collide on images with nothing in them.
"""

from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from shared.images.picture import Picture

SAMPLED_PIXELS = 1 << 16
"""Brightness is taken from about so many pixels, evenly spaced: percentiles do not need more."""


def signals(picture: Picture) -> dict[str, float]:
    """Return every signal of `shared.catalog.SIGNALS` for a picture."""
    width, height = picture.image.size
    p5, p99 = _percentiles(perceived_brightness(picture.pixels), (5, 99))
    return {
        "luma_p5": float(p5),
        "luma_p99": float(p99),
        "aspect": min(width, height) / max(width, height),
        "entropy": picture.gray.entropy(),
        "sharpness": sharpness(picture.gray),
        "detail": detail(picture.small_gray),
    }


def perceived_brightness(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return √(.241 R² + .691 G² + .068 B²) / 255 of evenly spaced pixels, 0 to 1."""
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / SAMPLED_PIXELS) ** 0.5))
    sampled = pixels[::step, ::step].reshape(-1, 3).astype(np.float32)
    weighted = np.square(sampled) @ np.array([0.241, 0.691, 0.068], dtype=np.float32)
    return np.asarray(np.sqrt(weighted) / 255, dtype=np.float32)


def _percentiles(values: np.ndarray[Any, Any], shares: tuple[int, ...]) -> list[float]:
    """Return np.percentile of float32 values, through a sort: half the time."""
    ordered = np.sort(values)
    places = np.asarray(shares) / 100 * (len(values) - 1)
    low = places.astype(int)
    before, after = ordered[low], ordered[np.minimum(low + 1, len(values) - 1)]
    part = places - low
    between = np.where(part < 0.5, before + (after - before) * part, after - (after - before) * (1 - part))
    return [float(value) for value in between]


def sharpness(gray: Image.Image) -> float:
    """Return cleanvision's blur score at 64 px: edge strength, plus how peaked the histogram is, 0 to 1."""
    small = gray.copy()
    small.thumbnail((64, 64))
    edges = 1 - np.exp(-0.01 * np.asarray(small.filter(ImageFilter.FIND_EDGES)).std())
    peak = 1 - np.exp(-0.01 * np.std(small.histogram()))
    return float(min(1.0, edges + (peak if peak > 0.18 else 0.0)))


def detail(small: Image.Image) -> float:
    """Return the standard deviation, in gray levels, of what a blur of 6 px takes away at 128 × 128."""
    smooth = small.filter(ImageFilter.GaussianBlur(6))
    return float((np.asarray(small, dtype=np.float32) - np.asarray(smooth, dtype=np.float32)).std())
