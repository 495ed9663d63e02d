"""Random global and local crops of one image. The random numbers belong to the sample, not to who computes it.

Shapes: V global and S local crops, C colours, H W pixels, uint8; K numbers say what is done to a crop's colours.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from training.data.color_params import draw_colours
from training.params import AugmentParams, CropParams, Share

CropBox = tuple[int, int, int, int]
"""Left, top, right, bottom."""

TRIES = 10
SLIMMEST = 3 / 4
SPARE = 1.5
"""Pixels along a side that are left at least, for each pixel of a crop, where a crop is made of a smaller image. At
this limit it differs from a crop of the whole image by about one gray level on average, at twice it by a third."""


class Views(NamedTuple):
    """The crops of one image, and what will be done to their colours."""

    global_crops: np.ndarray
    """global_VHWC."""
    local_crops: np.ndarray
    """local_SHWC."""
    global_colours: np.ndarray
    """colours_VK."""
    local_colours: np.ndarray
    """colours_SK."""


def keyed_rng(*key: int) -> np.random.Generator:
    """Return the random numbers of a key, such as (seed, sample number)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def random_box(width: int, height: int, scale: Share, rng: np.random.Generator) -> CropBox:
    """Draw a box by area and aspect; the middle of the image if none fits."""
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


class ImagePyramid:
    """An image, its half, its quarter and so on, each made when a crop first asks for it."""

    def __init__(self, pixels_HWC: np.ndarray) -> None:
        self.levels = [pixels_HWC]
        self.height, self.width = pixels_HWC.shape[:2]

    def at(self, level: int) -> np.ndarray:
        """Return the image, halved so many times by the mean of 2 × 2 pixels."""
        while len(self.levels) <= level:
            last_HWC = self.levels[-1]
            height, width = (side // 2 for side in last_HWC.shape[:2])
            even_HWC = last_HWC[: 2 * height, : 2 * width]
            self.levels.append(np.asarray(cv2.resize(even_HWC, (width, height), interpolation=cv2.INTER_AREA)))
        return self.levels[level]

    def crop(self, box: CropBox, size: int) -> np.ndarray:
        """Return crop_HWC, made of the smallest level that has pixels enough."""
        left, top, right, bottom = box
        spare = min(right - left, bottom - top) / (SPARE * size)
        level = max(0, math.floor(math.log2(spare)))
        cut = slice(top >> level, bottom >> level), slice(left >> level, right >> level)
        return resized(self.at(level)[cut], size, size)


def _crops(
    pyramid: ImagePyramid, count: int, size: int, scale: Share, flip: float, rng: np.random.Generator
) -> np.ndarray:
    crops_NHWC = np.empty((count, size, size, 3), dtype=np.uint8)
    for crop_HWC in crops_NHWC:
        cut_HWC = pyramid.crop(random_box(pyramid.width, pyramid.height, scale, rng), size)
        if rng.random() < flip:
            cv2.flip(cut_HWC, 1, dst=crop_HWC)
        else:
            crop_HWC[:] = cut_HWC
    return crops_NHWC


def multi_crop(pixels_HWC: np.ndarray, crops: CropParams, augment: AugmentParams, rng: np.random.Generator) -> Views:
    """Draw all crops of an image, and what will be done to their colours.

    The first global crop is blurred by `blur_global_first` and never solarised; the other global crops are blurred by
    `blur_global_other` and solarised by `solarise`; local crops are blurred by `blur_local`.
    """
    pyramid, others, local_count = ImagePyramid(pixels_HWC), crops.global_count - 1, crops.local_count
    blur = [augment.blur_global_first] + [augment.blur_global_other] * others + [augment.blur_local] * local_count
    colours = draw_colours(augment, blur, [0.0] + [augment.solarise] * others + [0.0] * local_count, rng)
    return Views(
        _crops(pyramid, crops.global_count, crops.global_size, crops.global_scale, augment.flip, rng),
        _crops(pyramid, local_count, crops.local_size, crops.local_scale, augment.flip, rng),
        colours[: crops.global_count],
        colours[crops.global_count :],
    )
