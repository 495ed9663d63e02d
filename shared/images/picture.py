"""One decoded image, and what several measurements derive from it, each derived once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

SMALL = 128
"""Side of the small gray picture, in pixels."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Picture:
    """An upright RGB image."""

    image: Image.Image

    @cached_property
    def pixels(self) -> Pixels:
        """RGB pixels [height, width, 3]."""
        return np.asarray(self.image)

    @cached_property
    def gray(self) -> Image.Image:
        """Gray levels at full size."""
        return self.image.convert("L")

    @cached_property
    def small_gray(self) -> Image.Image:
        """Gray levels, squashed to 128 × 128."""
        return self.gray.resize((SMALL, SMALL), Image.Resampling.BOX, reducing_gap=2.0)

    def squashed(self, side: int) -> Pixels:
        """Return RGB pixels [side, side, 3] of the whole image: a crop would lose what a copy may show."""
        return np.asarray(self.image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0))
