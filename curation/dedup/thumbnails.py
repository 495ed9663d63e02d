"""Small thumbnails in colour, stored with the measurements: they dismiss most pairs that embeddings propose.

A copy shows what the other shows, or a part of it, upright, mirrored or turned. Of 21,000 pairs of neighbours among
other people's photographs 9 in 10 correlate below .85 in the best window, of copies 1 in 50.
"""

import numpy as np
from PIL import Image

from curation.arrays import Bytes
from curation.dedup.geometry.windows import SIDE, best_correlation, normed

TINT = 8
"""Gray levels [32, 32], and blue and red difference [8, 8] each."""
LENGTH = SIDE * SIDE + 2 * TINT * TINT
AS_ONE, SAME_TINT = 0.995, 6.0
"""Two thumbnails that correlate so well, their colours at most so far apart on average, may stand for each other."""


def thumbnail(image: Image.Image) -> bytes:
    """Return the thumbnail of an RGB image, squashed to a square: 1,152 bytes."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0).convert("YCbCr")
    gray, *tints = small.split()
    planes = [gray, *(tint.resize((TINT, TINT), Image.Resampling.BOX) for tint in tints)]
    return b"".join(plane.tobytes() for plane in planes)


def thumbnails(column: list[bytes]) -> Bytes:
    """Return rows [n, 1152] of thumbnails."""
    return np.frombuffer(b"".join(column), dtype=np.uint8).reshape(-1, LENGTH)


def correlation(one: Bytes, other: Bytes) -> float:
    """Return how well the gray levels of either thumbnail show a part of the other."""
    return best_correlation(one[: SIDE * SIDE].tobytes(), other[: SIDE * SIDE].tobytes())


def as_one(one: Bytes, other: Bytes) -> bool:
    """Return whether two thumbnails show one picture, as far as they can tell, upright and in its colours."""
    x, y = (normed(row[: SIDE * SIDE].astype(np.float32)) for row in (one, other))
    tint = np.abs(one[SIDE * SIDE :].astype(np.float32) - other[SIDE * SIDE :]).mean()
    return float(x @ y) >= AS_ONE and float(tint) <= SAME_TINT
