"""Bytes to upright RGB pixels, once and the same for curation, training and evaluation.

Hashes depend on every choice made here (orientation, matte, bit depth, full decode): a change needs a new
version of the stage `measure`, which renames everything that was measured.
"""

import io
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, UnidentifiedImageError

from shared.images.deep import DeepValues, deep_colours, deep_values, eight_bits, is_deep
from shared.images.foreign import foreign, raw_photo, register_extras
from shared.images.header import MAX_SCANS, has_too_many_scans, holds_more, is_wide
from shared.images.hidden import Hidden
from shared.images.ids import pixels_digest
from shared.images.jpeg import jpeg_pixels
from shared.images.picture import Picture
from shared.images.to_rgb import to_rgb
from shared.images.turns import turned, turned_values, turns_of

MAX_PIXELS = 200_000_000
"""Larger images are refused before a pixel is decoded: a decompression bomb is a row, not an outage."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice this, also inside: an icon's PNG, a frame, a tile

FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM"),
    *("HEIF", "JXL", "PSD", "QOI", "SGI", "ICO", "ICNS", "DDS", "PCX", "TGA"),
)
"""Formats that are opened, tried in this order: TGA is last, as it has no signature. Pillow's others stay shut:
EPS runs an external program, FITS inflates without a limit, the rest hold no photographs or are not decoded at all."""


class UndecodableError(Exception):
    """The bytes are no image that can be decoded whole; the text says why."""


@dataclass(frozen=True)
class Decoded:
    """Upright RGB pixels and the name of the file format they came in."""

    picture: Picture
    format: str
    hidden: Hidden
    """What the pixels do not show of the file."""

    @property
    def image(self) -> Image.Image:
        """The pixels for Pillow."""
        return self.picture.image

    def pixels_id(self) -> bytes:
        """Return the digest of what the picture is to its last pixel: 16 bytes."""
        height, width = self.picture.pixels.shape[:2]
        return pixels_digest(f"{width}x{height}:".encode(), self.picture.pixels, self.hidden.digest())


def decode(data: bytes, rotation: int | None = None) -> Decoded:
    """Decode the first frame: EXIF applied, alpha on white, any mode to 8-bit RGB, deep ones by the rule of deep.py.

    `rotation` turns the result by so many degrees counter-clockwise, a multiple of 90, where a source says so.

    Raises UndecodableError for empty, truncated, oversized or foreign bytes, and for nothing else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; the pixels decide
            return _decode(data, rotation)
    except UndecodableError:
        raise
    except UnidentifiedImageError as error:  # its own text names a memory address
        raise UndecodableError(foreign(data)) from error
    except Exception as error:
        raise UndecodableError(f"{type(error).__name__}: {error}"[:300]) from error


def _decode(data: bytes, rotation: int | None) -> Decoded:
    if not data:
        raise UndecodableError("the file is empty")
    with Image.open(io.BytesIO(data), formats=_formats()) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise UndecodableError(f"{width} × {height} pixels, more than the limit of {MAX_PIXELS:,}")
        name = opened.format or "unknown"
        if name == "TIFF" and (why := raw_photo(data)):
            raise UndecodableError(why)
        if name in ("JPEG", "MPO") and has_too_many_scans(data):
            raise UndecodableError(f"a JPEG of more than {MAX_SCANS} scans")
        more, wide = holds_more(opened, data), is_wide(opened, data)
        if (pixels := jpeg_pixels(opened, data)) is not None:
            upright = turned_values(pixels, turns_of(opened, rotation))
            return Decoded(Picture(upright), name.lower(), Hidden(file=data if more else b""))
        opened.load()
        turns = turns_of(opened, rotation)
        deep = deep_values(opened) if is_deep(opened) else deep_colours(data, name) if wide else None
        if deep is None or deep.shape[:2] != (height, width):
            shown = turned(opened, turns)
            hidden = Hidden.behind(shown, data if more or wide else b"")
            rgb = to_rgb(shown)
        else:
            deep = turned_values(deep, turns)
            clear = opened.info.get("transparency")
            hidden = Hidden(deep=deep, file=data if more else b"", transparent="" if clear is None else str(clear))
            rgb = to_rgb(_shallow(deep))
        rgb = rgb.copy() if rgb is opened else rgb
        rgb.info.clear()  # what it says of orientation and transparency is done
        return Decoded(Picture(rgb), name.lower(), hidden)


@cache
def _formats() -> list[str]:
    Image.init()
    register_extras()
    return [name for name in FORMATS if name in Image.OPEN]  # an older Pillow lacks AVIF, and extras are extra


def _shallow(deep: DeepValues) -> Image.Image:
    """Return an 8-bit image of deep numbers; alpha has a fixed end, unlike colours."""
    if deep.ndim == 2 or deep.shape[2] == 3:
        return Image.fromarray(eight_bits(deep))
    return Image.fromarray(np.dstack([eight_bits(deep[..., :3]), (deep[..., 3] >> 8).astype(np.uint8)]))
