"""Arrays and photographs as small inline pictures.

Shapes: H W pixels or patches, 3 colours.
"""

import base64
import io

import numpy as np
from PIL import Image

from shared.images.decode import UndecodableError, decode

SIDE = 150
QUALITY = 78
HEAT = np.array([(10, 8, 28), (66, 18, 105), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 190)])
"""Stops of a colour scale from dark to light, evenly spaced (after matplotlib's inferno)."""


def square(data: bytes | None, rotation: int, resize: float) -> str | None:
    """Return the centre crop that a model saw, as a JPEG; null where nothing can be decoded."""
    if data is None:
        return None
    try:
        image = decode(data, rotation).image
    except UndecodableError:
        return None
    side = min(image.size) / resize
    left, top = ((length - side) / 2 for length in image.size)
    box = (left, top, left + side, top + side)
    small = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    return inline(small, "JPEG", quality=QUALITY, optimize=True)


def mosaic(colour_HW3: np.ndarray) -> str:
    """Return uint8 colours as a PNG of one pixel a patch."""
    return inline(Image.fromarray(colour_HW3), "PNG", optimize=True)


def heat(value_HW: np.ndarray) -> str:
    """Return bytes as a PNG of one pixel a patch, dark to light."""
    at_HW = value_HW / 255 * (len(HEAT) - 1)
    colour_HW3 = np.stack([np.interp(at_HW, np.arange(len(HEAT)), HEAT[:, c]) for c in range(3)], axis=-1)
    return mosaic(colour_HW3.round().astype(np.uint8))


def inline(image: Image.Image, kind: str, **how: int | bool) -> str:
    """Return a picture as a data URI."""
    file = io.BytesIO()
    image.save(file, kind, **how)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(file.getvalue()).decode()
