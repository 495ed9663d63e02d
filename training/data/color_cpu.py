"""Color jitter, grayscale, blur and solarisation, as drawn: crop by crop with OpenCV on a CPU, batches on a GPU.

Both compute the same formulas in float32 and round once, at the end. So where it happens changes a pixel by one
gray level at most, and a CPU gives the same bits in a worker and in the main process.

Shapes: N crops, H W pixels, 3 colours, uint8; K numbers say what is done to a crop (color_params.py).
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from training.data.color_gpu import color_jitter_batch
from training.data.color_params import GRAY, LUMA, NOTHING, ORDER, SIGMA, SOLARISE, SOLARISE_FROM, TAPS

TO_GRAY = np.tile(np.array(LUMA, dtype=np.float32), (3, 1))
LEVELS = np.arange(256)
SOLARISED = np.where(LEVELS >= SOLARISE_FROM, 255 - LEVELS, LEVELS).astype(np.uint8)


def color_jitter(crops_NHWC: Tensor, colours_NK: Tensor) -> Tensor:
    """Return uint8 crops_N3HW on the device of the crops; colours_NK is on the CPU."""
    if crops_NHWC.device.type != "cpu":
        return color_jitter_batch(crops_NHWC, colours_NK)
    count, height, width, _ = crops_NHWC.shape
    out_N3HW = np.empty((count, 3, height, width), dtype=np.uint8)
    for crop_HWC, colours_K, out_3HW in zip(crops_NHWC.numpy(), colours_NK.numpy(), out_N3HW, strict=True):
        cv2.split(color_jitter_crop(crop_HWC, colours_K), list(out_3HW))
    return torch.from_numpy(out_N3HW)


def color_jitter_crop(crop_HWC: np.ndarray, colours_K: np.ndarray) -> np.ndarray:
    """Jitter, lose colour, blur and solarise one crop, where drawn."""
    x_HWC: np.ndarray = crop_HWC.astype(np.float32)
    for change in colours_K[ORDER].astype(int):
        if change != NOTHING:
            x_HWC = CHANGES[change](x_HWC, float(colours_K[change]))
    if colours_K[GRAY]:
        x_HWC = cv2.transform(x_HWC, TO_GRAY)
    if colours_K[SIGMA]:
        x_HWC = cv2.GaussianBlur(x_HWC, (TAPS, TAPS), float(colours_K[SIGMA]), borderType=cv2.BORDER_REFLECT_101)
    rounded_HWC = cv2.convertScaleAbs(x_HWC)
    return np.asarray(cv2.LUT(rounded_HWC, SOLARISED) if colours_K[SOLARISE] else rounded_HWC)


def brightened(x_HWC: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by the factor."""
    np.multiply(x_HWC, np.float32(factor), out=x_HWC)
    return np.asarray(np.minimum(x_HWC, 255, out=x_HWC))


def contrasted(x_HWC: np.ndarray, factor: float) -> np.ndarray:
    """Move away from the mean luma of the crop, or towards it."""
    mean = float(np.dot(cv2.mean(x_HWC)[:3], LUMA))
    np.multiply(x_HWC, np.float32(factor), out=x_HWC)
    return _clipped(np.add(x_HWC, np.float32((1 - factor) * mean), out=x_HWC))


def saturated(x_HWC: np.ndarray, factor: float) -> np.ndarray:
    """Move each pixel away from its luma, or towards it."""
    return _clipped(cv2.transform(x_HWC, factor * np.eye(3, dtype=np.float32) + (1 - factor) * TO_GRAY))


def hue_turned(x_HWC: np.ndarray, share: float) -> np.ndarray:
    """Turn the colour circle by a share of it."""
    hsv_HWC = cv2.cvtColor(x_HWC, cv2.COLOR_RGB2HSV)
    np.add(hsv_HWC[..., 0], np.float32(360 * (share % 1)), out=hsv_HWC[..., 0])  # OpenCV wraps above 360, not below 0
    return np.asarray(cv2.cvtColor(hsv_HWC, cv2.COLOR_HSV2RGB))


CHANGES = (brightened, contrasted, saturated, hue_turned)
"""In the order of their columns."""


def _clipped(x_HWC: np.ndarray) -> np.ndarray:
    np.minimum(x_HWC, 255, out=x_HWC)
    return np.asarray(np.maximum(x_HWC, 0, out=x_HWC))
