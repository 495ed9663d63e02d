"""Bytes to upright RGB pixels, once and the same for curation, training and evaluation.

Hashes depend on every choice made here (orientation, matte, bit depth, full decode): a change needs a new
version of the stage `measure`, which renames everything that was measured.
"""

import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from shared.images.foreign import foreign, raw_photo, register_extras

MAX_PIXELS = 200_000_000
"""Larger images are refused before a pixel is decoded: a decompression bomb is a row, not an outage."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice this, also inside: an icon's PNG, a frame, a tile

FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM"),
    *("HEIF", "JXL", "PSD", "QOI", "SGI", "ICO", "ICNS", "DDS", "PCX", "TGA"),
)
"""Formats that are opened, tried in this order: TGA is last, as it has no signature. Pillow's others stay shut:
EPS runs an external program, FITS inflates without a limit, the rest hold no photographs or are not decoded at all."""

MAX_SCANS = 100
"""A JPEG with more is refused, as libtiff does: a scan of a few bytes costs a pass over all pixels. Real ones have a
dozen."""

JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
SCAN, END = b"\xff\xda", b"\xff\xd9"

BAND_PIXELS = 1 << 22
"""Alpha and wide pixels are converted so many at a time: whole, they would take 40 bytes a pixel."""

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


class UndecodableError(Exception):
    """The bytes are no image that can be decoded whole; the text says why."""


@dataclass(frozen=True)
class Decoded:
    """Upright RGB pixels and the name of the file format they came in."""

    image: Image.Image
    format: str


def decode(data: bytes, rotation: int | None = None) -> Decoded:
    """Decode the first frame: EXIF applied, alpha on white, any mode to 8-bit RGB.

    `rotation` turns the result by so many degrees counter-clockwise, a multiple of 90, where a source says so.

    Raises UndecodableError for empty, truncated, oversized or foreign bytes, and for nothing else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; the pixels decide
            decoded = _decode(data)
            return Decoded(decoded.image.rotate(rotation, expand=True), decoded.format) if rotation else decoded
    except UndecodableError:
        raise
    except UnidentifiedImageError as error:  # its own text names a memory address
        raise UndecodableError(foreign(data)) from error
    except Exception as error:
        raise UndecodableError(f"{type(error).__name__}: {error}"[:300]) from error


def _decode(data: bytes) -> Decoded:
    if not data:
        raise UndecodableError("the file is empty")
    with Image.open(io.BytesIO(data), formats=_formats()) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise UndecodableError(f"{width} × {height} pixels, more than the limit of {MAX_PIXELS:,}")
        name = opened.format or "unknown"
        if name == "TIFF" and (why := raw_photo(data)):
            raise UndecodableError(why)
        if name in ("JPEG", "MPO") and _has_too_many_scans(data):
            raise UndecodableError(f"a JPEG of more than {MAX_SCANS} scans")
        opened.load()
        image = to_rgb(_upright(opened))
        image = image.copy() if image is opened else image
        image.info.clear()  # what it says of orientation and transparency is done
        return Decoded(image, name.lower())


@cache
def _formats() -> list[str]:
    Image.init()
    register_extras()
    return [name for name in FORMATS if name in Image.OPEN]  # an older Pillow lacks AVIF, and extras are extra


def _has_too_many_scans(data: bytes) -> bool:
    at, scans = 2, 0
    while scans <= MAX_SCANS and (marker := JPEG_MARKER.search(data, at)) and marker[0] != END:
        scans += marker[0] == SCAN
        length = data[marker.end() : marker.end() + 2]
        at = marker.end() + int.from_bytes(length)  # over the whole segment: a thumbnail has scans of its own
    return scans > MAX_SCANS


def _upright(image: Image.Image) -> Image.Image:
    """Turn by the orientation alone: ImageOps.exif_transpose writes the block anew, and fails where it is broken."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  a broken EXIF block must not cost the image
        return image
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB: alpha on white, 16 bits scaled to 8, LAB through its profile."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return _stretched(image)
    if image.mode == "LAB":
        to_srgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        converted = ImageCms.applyTransform(image, to_srgb)
        assert converted is not None
        return converted
    return _on_white(image) if image.has_transparency_data else image.convert("RGB")


def _bands(image: Image.Image) -> Iterator[tuple[tuple[int, int, int, int], Image.Image]]:
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        yield box, image.crop(box)


def _on_white(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size)
    for box, band in _bands(image):
        white = Image.new("RGBA", band.size, "white")
        flat.paste(Image.alpha_composite(white, band.convert("RGBA")).convert("RGB"), box)
    return flat


def _stretched(image: Image.Image) -> Image.Image:
    """Wide integers and floats carry no fixed white: 16-bit when they look like it, else by their range."""
    ranges = [(values.min(), values.max()) for values in map(_finite, (band for _, band in _bands(image)))]
    low, high = float(min(low for low, _ in ranges)), float(max(high for _, high in ranges))
    if low >= 0 and 255 < high <= 65535:
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    gray = Image.new("L", image.size)
    for box, band in _bands(image):
        scaled = (_finite(band) - low) / max(high - low, 1e-12) * 255
        gray.paste(Image.fromarray(scaled.round().astype(np.uint8)), box)
    return gray.convert("RGB")


def _finite(band: Image.Image) -> np.ndarray:
    return np.nan_to_num(np.asarray(band, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
