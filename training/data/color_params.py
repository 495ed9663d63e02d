"""Photometric augmentation, drawn: what will be done to the colours of each crop, from the sample's own rng.

Shapes: N crops, K numbers for each.
"""

from collections.abc import Sequence

import numpy as np

from training.params import AugmentParams

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
"""Columns: three factors, and a share of the colour circle."""
ORDER = slice(4, 8)
"""Columns: which of the four changes is made first, second, third and fourth; NOTHING in a crop without jitter."""
GRAY, SIGMA, SOLARISE = 8, 9, 10
"""Columns: 1 or 0; standard deviation of the blur in pixels, 0 = no blur; 1 or 0."""
K = 11
NOTHING = -1

LUMA = (0.2989, 0.587, 0.114)
SOLARISE_FROM = 128
TAPS = 9
"""Pixels that a blur reaches over, as in DINOv2: at its widest, two standard deviations to each side."""


def draw_colours(
    params: AugmentParams, blur: Sequence[float], solarise: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Draw colours_NK; `blur` and `solarise` are each crop's chances."""
    count = len(blur)
    colours = np.zeros((count, K), dtype=np.float32)
    for column, strength in enumerate((params.brightness, params.contrast, params.saturation)):
        colours[:, column] = rng.uniform(max(0.0, 1 - strength), 1 + strength, count)
    colours[:, HUE] = rng.uniform(-params.hue, params.hue, count)
    order = rng.permuted(np.tile(np.arange(4), (count, 1)), axis=1)
    colours[:, ORDER] = np.where(rng.random((count, 1)) < params.jitter, order, NOTHING)
    colours[:, GRAY] = rng.random(count) < params.gray
    sigma = rng.uniform(*params.blur_sigma, count)
    colours[:, SIGMA] = np.where(rng.random(count) < np.asarray(blur), sigma, 0)
    colours[:, SOLARISE] = rng.random(count) < np.asarray(solarise)
    return colours
