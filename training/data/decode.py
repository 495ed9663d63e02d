"""Bytes to the pixels that crops are cut from: no more of them than the smallest possible crop can use.

A JPEG is decoded at a half, a quarter or an eighth where that suffices, in libjpeg-turbo's inverse DCT. At full
size the pixels are those of `shared.images.decode`, bit by bit: OpenCV only saves a copy.
"""

import io
import math

import cv2
import numpy as np
from PIL import ExifTags, Image

from shared.images.decode import decode
from shared.images.turns import TURNS
from training.data.multi_crop import SLIMMEST, SPARE
from training.params import CropParams

JPEG = b"\xff\xd8\xff"
SCALES = {8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2}
FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def decoded(data: bytes, rotation: int, crops: CropParams) -> np.ndarray:
    """Return upright RGB pixels_HWC, of a JPEG perhaps a half, a quarter or an eighth of its size.

    Raises UndecodableError for what is no image.
    """
    pixels_HWC = _jpeg(data, crops) if data[:3] == JPEG else None
    if pixels_HWC is None:
        return np.array(decode(data, rotation).image)  # a copy: torch warns of memory it may not write to
    return np.ascontiguousarray(np.rot90(pixels_HWC, rotation // 90))


def scale_for(width: int, height: int, crops: CropParams) -> int:
    """Return 8, 4, 2 or 1: the greatest divisor that leaves even the smallest crop as many pixels as it needs."""
    return next((scale for scale in SCALES if _room(width, height, crops) >= SPARE * scale), 1)


def _room(width: int, height: int, crops: CropParams) -> float:
    """Return how many pixels of the image fall on one of a crop, at least."""
    if crops.shrink:
        return min(width, height) / crops.shrink
    kinds = [(crops.global_size, crops.global_scale)]
    if crops.local_count:
        kinds.append((crops.local_size, crops.local_scale))
    slimmest = math.sqrt(width * height * SLIMMEST)
    return min(min(slimmest * math.sqrt(scale[0]), width, height) / size for size, scale in kinds)


def _jpeg(data: bytes, crops: CropParams) -> np.ndarray | None:
    """Decode the common kinds with OpenCV; None leaves the others, CMYK and what is broken, to Pillow."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as header:
            mode, size, turn = header.mode, header.size, TURNS.get(header.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  Pillow raises many kinds; `decode` gives them one name
        return None
    if mode not in ("RGB", "L"):
        return None
    pixels_HWC = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), FLAGS | SCALES.get(scale_for(*size, crops), 0))
    if pixels_HWC is None:
        return None
    return np.asarray(pixels_HWC) if turn is None else np.array(Image.fromarray(pixels_HWC).transpose(turn))
