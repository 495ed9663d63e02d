"""Pixels of more than 8 bits: how they are read, and the rule by which they become 8.

The rule: 16-bit numbers that use the highest bit, and those that are 8-bit numbers times 257, have white at 65,535. All
others (scans of 10, 12 or 14 bits, depth, wide integers, floats) carry no white, and are stretched from their own
darkest to their own brightest. A thousandth of the numbers at either end is left out of account, so that a hot pixel
changes nothing. What is not finite is black.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

DeepValues = np.ndarray
"""Numbers of more than 8 bits [H, W] or [H, W, C]."""

WHITE = 65_535
HIGH_BIT = 1 << 15
REPEATED = 257
"""An 8-bit number in 16 bits, its byte written twice."""
LEFT_OUT = 0.001
SORTED = 1 << 24
"""Of more floats than this the extremes are taken: sorting them would take too much memory."""
PIECE = 1 << 22
"""Numbers that are worked on at a time."""


def is_deep(image: Image.Image) -> bool:
    """Tell whether Pillow opened one channel of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def deep_values(image: Image.Image) -> DeepValues:
    """Return the numbers of such an image [H, W]: 16-bit wherever they fit, so that PNG, TIFF and PGM agree."""
    values = np.asarray(image)
    if image.mode == "F":
        return values
    fits = image.mode.startswith("I;16") or (values.min() >= 0 and values.max() <= WHITE)
    return values.astype(np.uint16) if fits else values


def deep_colours(data: bytes, format: str) -> DeepValues | None:
    """Return 16-bit colours [H, W, 3], or [H, W, 4] with alpha, of a PNG or TIFF, of which Pillow keeps 8 bits.

    None where OpenCV cannot read them.
    """
    import cv2

    if format not in ("PNG", "TIFF"):
        return None
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if values is None or values.dtype != np.uint16 or values.ndim != 3 or values.shape[2] not in (3, 4):
        return None
    order = [2, 1, 0, 3][: values.shape[2]]
    return np.ascontiguousarray(values[:, :, order])


def eight_bits(values: DeepValues) -> np.ndarray:
    """Return the numbers as 8 bits, by the rule."""
    low, high = _span(values)
    out = np.empty(values.shape, np.uint8)
    for source, target in zip(_pieces(values), _pieces(out), strict=True):
        if (low, high) == (0, WHITE):
            target[:] = source >> 8
        else:
            finite = np.nan_to_num(source.astype(np.float64), nan=low, posinf=low, neginf=low)
            target[:] = np.round((np.clip(finite, low, high) - low) / max(high - low, 1e-12) * 255)
    return out


def _span(values: DeepValues) -> tuple[float, float]:
    """Return the numbers that become black and white."""
    if values.dtype == np.uint16:
        counts = sum(np.bincount(piece.ravel(), minlength=WHITE + 1) for piece in _pieces(values))
        used = np.flatnonzero(counts)
        reached = np.cumsum(counts) / values.size
        low, high = (min(int(at), int(used[-1])) for at in np.searchsorted(reached, [LEFT_OUT, 1 - LEFT_OUT], "right"))
        if high >= HIGH_BIT or not (used % REPEATED).any():
            return 0, WHITE
        return _apart(low, high, int(used[0]), int(used[-1]))
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0
    least, most = float(finite.min()), float(finite.max())
    if finite.size > SORTED:
        return least, most
    low, high = np.quantile(finite, [LEFT_OUT, 1 - LEFT_OUT], method="closest_observation")
    return _apart(float(low), float(high), least, most)


def _apart(low: float, high: float, least: float, most: float) -> tuple[float, float]:
    """Return the inner limits, or the extremes where nearly all numbers are the same."""
    return (low, high) if low < high else (least, most)


def _pieces(values: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, PIECE // max(1, values[0].size))
    return (values[top : top + rows] for top in range(0, len(values), rows))
