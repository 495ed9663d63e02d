"""Bytes to upright RGB pixels, once and the same for curation, training and evaluation.

Hashes depend on every choice made here (orientation, matte, bit depth, full decode): a change needs a new
`curation.measure.decode_version`, which renames everything that was measured.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

MAX_PIXELS = 200_000_000
"""Larger images are refused before a pixel is decoded: a decompression bomb is a row, not an outage."""

Image.MAX_IMAGE_PIXELS = None  # ours is checked in `decode`, with an error that names the size


class UndecodableError(Exception):
    """The bytes are no image that can be decoded whole; the text says why."""


@dataclass(frozen=True)
class Decoded:
    """Upright RGB pixels and the name of the file format they came in."""

    image: Image.Image
    format: str


def decode(data: bytes) -> Decoded:
    """Decode the first frame: EXIF applied, alpha on white, any mode to 8-bit RGB.

    Raises UndecodableError for empty, truncated, oversized or foreign bytes, and for nothing else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; the pixels decide
            return _decode(data)
    except UndecodableError:
        raise
    except UnidentifiedImageError as error:  # its own text names a memory address
        raise UndecodableError("no image format that Pillow knows") from error
    except Exception as error:
        raise UndecodableError(f"{type(error).__name__}: {error}"[:300]) from error


def _decode(data: bytes) -> Decoded:
    if not data:
        raise UndecodableError("the file is empty")
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise UndecodableError(f"{width} × {height} pixels, more than the limit of {MAX_PIXELS:,}")
        name = opened.format or "unknown"
        opened.load()
        return Decoded(to_rgb(_upright(opened)), name.lower())


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001  a broken EXIF block must not cost the image
        return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB: alpha on white, 16 bits scaled to 8, LAB through its profile."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return _stretched(np.asarray(image, dtype=np.float64))
    if image.mode == "LAB":
        to_srgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        converted = ImageCms.applyTransform(image, to_srgb)
        assert converted is not None
        return converted
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _stretched(values: np.ndarray) -> Image.Image:
    """Wide integers and floats carry no fixed white: 16-bit when they look like it, else by their range."""
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    if low >= 0 and 255 < high <= 65535:
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    scaled = (finite - low) / max(high - low, 1e-12) * 255
    return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")
