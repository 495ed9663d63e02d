"""Random crops of one image. The stream of random numbers belongs to the sample, not to who computes it.

Shapes: V large and S small crops, C colours, H W pixels; uint8.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from training.params import AugmentParams, CropParams, Share
from training.photometric import recoloured

TRIES = 10
SLIMMEST = 3 / 4


class Views(NamedTuple):
    """The crops of one image."""

    large: np.ndarray
    """large_VCHW."""
    small: np.ndarray
    """small_SCHW."""


def stream(seed: int, epoch: int, row: int) -> np.random.Generator:
    """Return the random numbers of an image in an epoch."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch, row))))


def random_box(width: int, height: int, scale: Share, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Draw a box (left, top, right, bottom) by area and aspect; the middle of the image if none fits."""
    for _ in range(TRIES):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(SLIMMEST), -math.log(SLIMMEST)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            return left, top, left + w, top + h
    w, h = min(width, round(height / SLIMMEST)), min(height, round(width / SLIMMEST))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _crop(image: Image.Image, size: int, scale: Share, augment: AugmentParams, rng: np.random.Generator) -> Image.Image:
    box = random_box(*image.size, scale, rng)
    crop = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < augment.flip else crop


def _stacked(crops: list[Image.Image], size: int) -> np.ndarray:
    if not crops:
        return np.zeros((0, 3, size, size), dtype=np.uint8)
    return np.stack([np.asarray(crop).transpose(2, 0, 1) for crop in crops])


def multi_crop(image: Image.Image, crops: CropParams, augment: AugmentParams, rng: np.random.Generator) -> Views:
    """Draw all crops of an RGB image.

    The first large crop is blurred by `blur_first` and never solarised; the other large crops are blurred by
    `blur_other` and solarised by `solarise`; small crops are blurred by `blur_small`.
    """
    large, small = [], []
    for number in range(crops.large_count):
        crop = _crop(image, crops.large_size, crops.large_scale, augment, rng)
        blur, solarise = (augment.blur_other, augment.solarise) if number else (augment.blur_first, 0.0)
        large.append(recoloured(crop, augment, blur, solarise, rng))
    for _ in range(crops.small_count):
        crop = _crop(image, crops.small_size, crops.small_scale, augment, rng)
        small.append(recoloured(crop, augment, augment.blur_small, 0.0, rng))
    return Views(_stacked(large, crops.large_size), _stacked(small, crops.small_size))
