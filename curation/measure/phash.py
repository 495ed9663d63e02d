"""imagededup's 64-bit PHash of an image in its eight orientations, from one small image and one transform.

A flip negates the odd coefficients of a cosine transform along its axis, and a transposition transposes them.
So seven of the hashes cost no pixel; they differ by a few bits from the hash of the turned pixels, since the
small image is rounded to whole gray levels before the transform.
"""

from functools import cache

import numpy as np
from scipy.fftpack import dct

from curation.arrays import Doubles
from shared.images.picture import Picture

TO_GRAY, HALF = np.array([19595, 38470, 7471], np.uint32), np.uint32(1 << 15)
"""Pillow's weights of red, green and blue, times 2¹⁶: imagededup's gray levels are its."""
KEPT, BYTES = 8, 8
"""The image is squashed to 32 × 32; the 8 × 8 lowest frequencies become 64 bits, 8 bytes."""


def phashes(picture: Picture) -> bytes:
    """Return eight hashes of 8 bytes of a picture, the first bit for bit the one that imagededup gives.

    Their order: as it is, mirrored left to right, upside down, both; then the same four of the transposed image.
    """
    small = ((picture.tiny.astype(np.uint32) @ TO_GRAY + HALF) >> 16).astype(np.uint8)
    low = dct(dct(small, axis=0), axis=1)[:KEPT, :KEPT]
    turned = (np.stack([low, low.T])[:, None] * _signs()).reshape(-1, KEPT * KEPT)
    middle = (KEPT * KEPT - 1) // 2  # of all but the first coefficient, which is the image's mean
    median = np.partition(turned[:, 1:], middle, axis=1)[:, middle]
    return np.packbits(turned >= median[:, None], axis=1).tobytes()


@cache
def _signs() -> Doubles:
    """Return what the four flips multiply the coefficients by: [4, 8, 8]."""
    odd = (-1.0) ** np.arange(KEPT)
    plain = np.ones(KEPT)
    return np.stack([np.outer(rows, columns) for rows in (plain, odd) for columns in (plain, odd)])
