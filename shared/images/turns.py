"""What brings a picture upright: its EXIF orientation, and what a source says."""

from collections.abc import Sequence

import numpy as np
from PIL import ExifTags, Image

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture upright, by its EXIF orientation."""

QUARTERS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
"""By degrees counter-clockwise."""


def turns_of(image: Image.Image, rotation: int | None) -> list[Image.Transpose]:
    """Return what to do one after the other: the file's own orientation, then the source's quarter turns."""
    steps = (_orientation(image), QUARTERS.get((rotation or 0) % 360))
    return [step for step in steps if step is not None]


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """Read the orientation alone: ImageOps.exif_transpose writes the block anew, and fails where it is broken."""
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  a broken EXIF block must not cost the image
        return None


def turned(image: Image.Image, turns: Sequence[Image.Transpose]) -> Image.Image:
    """Return the image turned; itself where there is nothing to do."""
    for turn in turns:
        image = image.transpose(turn)
    return image


def turned_values(values: np.ndarray, turns: Sequence[Image.Transpose]) -> np.ndarray:
    """Return numbers [H, W, …] turned as an image would be."""
    for turn in turns:
        if turn in (Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE):
            values = values.swapaxes(0, 1)
        if turn is Image.Transpose.TRANSVERSE:
            values = np.rot90(values, 2)
        elif turn is Image.Transpose.FLIP_LEFT_RIGHT:
            values = values[:, ::-1]
        elif turn is Image.Transpose.FLIP_TOP_BOTTOM:
            values = values[::-1]
        elif turn in QUARTERS.values():
            values = np.rot90(values, next(angle for angle, quarter in QUARTERS.items() if quarter is turn) // 90)
    return np.ascontiguousarray(values)
