"""Keeps the originals apart: no two may look alike by hash or by their gray pixels."""

import numpy as np
from PIL import Image

GRAY_SIDE, HASH_SIDE = 32, 8
MAX_CORRELATION = 0.9
MIN_BITS = 9
"""Hash bits that differ between any two: more than curation's usual limit of 6."""


def gray(image: Image.Image) -> np.ndarray:
    """Return 32 × 32 gray pixels as one vector of zero mean and unit norm."""
    small = image.convert("RGB").resize((GRAY_SIDE, GRAY_SIDE), Image.Resampling.LANCZOS).convert("L")
    pixels = np.asarray(small, dtype=np.float32).ravel()
    pixels = pixels - pixels.mean()
    return np.asarray(pixels / max(float(np.linalg.norm(pixels)), 1e-6), dtype=np.float32)


def phash(pixels: np.ndarray) -> np.ndarray:
    """Return the 64 bits of the DCT hash of such a vector."""
    step = np.arange(GRAY_SIDE)
    cosines = np.cos(np.pi / GRAY_SIDE * np.outer(step[:HASH_SIDE], step + 0.5))
    low = (cosines @ pixels.reshape(GRAY_SIDE, GRAY_SIDE) @ cosines.T).ravel()
    return np.asarray(low >= np.median(low[1:]))


class DistinctPictures:
    """The pictures accepted so far."""

    def __init__(self, room: int) -> None:
        self._gray = np.zeros((room, GRAY_SIDE**2), np.float32)
        self._bits = np.zeros((room, HASH_SIDE**2), np.int8)
        self._filled = 0

    def accepts(self, image: Image.Image) -> bool:
        """Take a picture in, unless it resembles an accepted one, mirrored or not."""
        as_is = gray(image)
        mirrored = as_is.reshape(GRAY_SIDE, GRAY_SIDE)[:, ::-1].ravel()
        accepted, hashes = self._gray[: self._filled], self._bits[: self._filled]
        for pixels in (as_is, mirrored):
            differ = (hashes != phash(pixels)).sum(1)
            if (accepted @ pixels > MAX_CORRELATION).any() or (differ < MIN_BITS).any():
                return False
        self._gray[self._filled], self._bits[self._filled] = as_is, phash(as_is)
        self._filled += 1
        return True
