"""One decoded image, and what several measurements derive from it, each derived once."""

from functools import cached_property
from typing import Any

import cv2
import numpy as np
from PIL import Image

from shared.images.lanczos import shrunk

SMALL = 128
"""Side of the small gray picture, in pixels."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class Picture:
    """An upright RGB image: for Pillow and as an array, each made of the other when it is asked for."""

    def __init__(self, source: Image.Image | Pixels) -> None:
        """Take an RGB image, or its pixels [height, width, 3]."""
        self._source = source

    @cached_property
    def image(self) -> Image.Image:
        """The image for Pillow."""
        return self._source if isinstance(self._source, Image.Image) else Image.fromarray(self._source)

    @cached_property
    def pixels(self) -> Pixels:
        """RGB pixels [height, width, 3]."""
        return np.asarray(self._source)

    @cached_property
    def gray(self) -> Pixels:
        """Gray levels at full size [height, width]."""
        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def small_gray(self) -> Pixels:
        """Gray levels, squashed to 128 × 128."""
        return squashed(self.gray, SMALL)

    @cached_property
    def tiny(self) -> Pixels:
        """RGB pixels [32, 32, 3] of the whole image, as imagededup shrinks it."""
        return shrunk(self.pixels)

    def squashed(self, side: int) -> Pixels:
        """Return RGB pixels [side, side, 3] of the whole image: a crop would lose what a copy may show."""
        return np.asarray(self.image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0))


def squashed(levels: Pixels, side: int) -> Pixels:
    """Return the mean gray levels in each of side × side equal cells, to about a level.

    What is large is halved first, an odd last line left out; what is small is left to Pillow.
    """
    height, width = levels.shape[:2]
    if min(height, width) < side:
        return np.asarray(Image.fromarray(levels).resize((side, side), Image.Resampling.BOX))
    across, down = (1 if length < 4 * side else 2 for length in (width, height))
    if across * down > 1:
        even = levels[: height // down * down, : width // across * across]
        halved = cv2.resize(even, (width // across, height // down), interpolation=cv2.INTER_AREA)
        return squashed(np.asarray(halved, np.uint8), side)
    twice = cv2.resize(levels, (2 * side, 2 * side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(twice, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
