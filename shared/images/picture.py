"""One decoded image, and what several measurements derive from it, each derived once."""

from functools import cached_property

import cv2
import numpy as np
from PIL import Image

from shared.images.halves import Cells, Pixels, halved
from shared.images.lanczos import shrunk

LARGE = 1 << 19
"""Images of so many pixels are halved, once for all that looks at the whole."""
HALVED = 512
"""Sides of so many pixels are: eight are left for each of the tiny picture at least, two for each of the small one."""
SMALL = 128
"""Side of the small gray picture, in pixels."""


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

    @property
    def is_large(self) -> bool:
        """Whether the image is halved for all that looks at the whole."""
        height, width = self.pixels.shape[:2]
        return bool(height * width >= LARGE)

    @cached_property
    def coarse(self) -> Cells:
        """The RGB pixels; those of a large image halved."""
        height, width = self.pixels.shape[:2]
        whole = Cells(self.pixels, (width, height))
        return halved(whole, HALVED) if self.is_large else whole

    @cached_property
    def gray(self) -> Pixels:
        """Gray levels [height, width]; those of a large image halved."""
        return gray_levels(self.coarse.levels)

    @cached_property
    def small_gray(self) -> Pixels:
        """Gray levels, squashed to 128 × 128."""
        return squashed(Cells(self.gray, self.coarse.size), SMALL)

    @cached_property
    def tiny(self) -> Pixels:
        """RGB pixels [32, 32, 3] of the whole image, as imagededup shrinks it; a large image is halved before."""
        return shrunk(*self.coarse)

    def squashed(self, side: int) -> Pixels:
        """Return RGB pixels [side, side, 3] of the whole image: a crop would lose what a copy may show."""
        return np.asarray(self.image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0))


def gray_levels(pixels: Pixels) -> Pixels:
    """Return the gray levels of RGB pixels."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def squashed(gray: Cells, side: int) -> Pixels:
    """Return the mean gray levels in each of side × side equal cells, to about a level.

    What is large is halved first; what is small is left to Pillow.
    """
    if min(gray.levels.shape) < side:
        return np.asarray(Image.fromarray(gray.levels).resize((side, side), Image.Resampling.BOX, (0, 0, *gray.size)))
    levels, (width, height) = halved(gray, 4 * side)
    fx, fy = 2 * side / width, 2 * side / height  # by its scale, not its size: where cells are parts, too many come out
    twice = cv2.resize(levels, None, fx=fx, fy=fy, interpolation=cv2.INTER_LINEAR)[: 2 * side, : 2 * side]
    return np.asarray(cv2.resize(twice, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
