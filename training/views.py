"""Random crops of one image. The stream of random numbers belongs to the sample, not to who computes it.

Shapes: V large and S small crops, C colours, H W pixels, uint8; K numbers say what is done to a crop's colours.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from training.colours import drawn_colours
from training.params import AugmentParams, CropParams, Share

TRIES = 10
SLIMMEST = 3 / 4


class Views(NamedTuple):
    """The crops of one image, and what will be done to their colours."""

    large: np.ndarray
    """large_VHWC."""
    small: np.ndarray
    """small_SHWC."""
    large_colours: np.ndarray
    """colours_VK."""
    small_colours: np.ndarray
    """colours_SK."""


def stream(*key: int) -> np.random.Generator:
    """Return the random numbers of a key, such as (seed, sample number)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


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


def resized(pixels_HWC: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the pixels at another size: Pillow's antialiased bicubic, within a gray level, in a third of its time."""
    pixels_1CHW = torch.from_numpy(np.ascontiguousarray(pixels_HWC)).unsqueeze(0).permute(0, 3, 1, 2)
    smooth_1CHW = F.interpolate(pixels_1CHW, size=(height, width), mode="bicubic", antialias=True)
    return smooth_1CHW.permute(0, 2, 3, 1)[0].numpy()


def _crops(
    pixels_HWC: np.ndarray, count: int, size: int, scale: Share, flip: float, rng: np.random.Generator
) -> np.ndarray:
    crops_NHWC = np.empty((count, size, size, 3), dtype=np.uint8)
    for crop_HWC in crops_NHWC:
        left, top, right, bottom = random_box(pixels_HWC.shape[1], pixels_HWC.shape[0], scale, rng)
        cut_HWC = resized(pixels_HWC[top:bottom, left:right], size, size)
        if rng.random() < flip:
            cv2.flip(cut_HWC, 1, dst=crop_HWC)
        else:
            crop_HWC[:] = cut_HWC
    return crops_NHWC


def multi_crop(pixels_HWC: np.ndarray, crops: CropParams, augment: AugmentParams, rng: np.random.Generator) -> Views:
    """Draw all crops of an image, and what will be done to their colours.

    The first large crop is blurred by `blur_first` and never solarised; the other large crops are blurred by
    `blur_other` and solarised by `solarise`; small crops are blurred by `blur_small`.
    """
    others, small = crops.large_count - 1, crops.small_count
    blur = [augment.blur_first] + [augment.blur_other] * others + [augment.blur_small] * small
    colours = drawn_colours(augment, blur, [0.0] + [augment.solarise] * others + [0.0] * small, rng)
    return Views(
        _crops(pixels_HWC, crops.large_count, crops.large_size, crops.large_scale, augment.flip, rng),
        _crops(pixels_HWC, small, crops.small_size, crops.small_scale, augment.flip, rng),
        colours[: crops.large_count],
        colours[crops.large_count :],
    )
