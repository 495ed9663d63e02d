"""The copies that are planted beside an original: one function per kind, bytes in and bytes out."""

import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

QUALITY = 92
_STORED = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270, 3: Image.Transpose.ROTATE_180}
"""EXIF orientation → how the upright pixels are turned before they are stored under it."""


def jpeg(image: Image.Image, quality: int = QUALITY, orientation: int = 1) -> bytes:
    """Encode a picture as JPEG, with an EXIF orientation other than upright if one is given."""
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


def png(image: Image.Image) -> bytes:
    """Encode a picture as PNG."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    """Decode a file that was written here."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def exact(data: bytes, rng: np.random.Generator) -> bytes:
    """The same bytes."""
    return data


def metadata(data: bytes, rng: np.random.Generator) -> bytes:
    """The same JPEG data behind a comment: other bytes, equal pixels."""
    text = b"saved again " + rng.bytes(12).hex().encode()
    return data[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + data[2:]


def resized(data: bytes, rng: np.random.Generator) -> bytes:
    """Half to two thirds of the size."""
    image, share = opened(data), rng.uniform(0.5, 0.7)
    size = (round(image.width * share), round(image.height * share))
    return jpeg(image.resize(size, Image.Resampling.LANCZOS))


def recompressed(data: bytes, rng: np.random.Generator) -> bytes:
    """JPEG at quality 35."""
    return jpeg(opened(data), 35)


def cropped(data: bytes, rng: np.random.Generator) -> bytes:
    """Five to eight percent cut off each side."""
    image = opened(data)
    left, top, right, bottom = rng.uniform(0.05, 0.08, 4)
    width, height = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return jpeg(image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3]))))


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Left and right exchanged."""
    return jpeg(ImageOps.mirror(opened(data)))


def brightness(data: bytes, rng: np.random.Generator) -> bytes:
    """A fifth to two fifths brighter, or a fifth darker: still sharp enough to pass the quality rules."""
    factor = rng.uniform(1.2, 1.4) if rng.random() < 0.5 else rng.uniform(0.75, 0.85)
    return jpeg(ImageEnhance.Brightness(opened(data)).enhance(factor))


def rotated(data: bytes, rng: np.random.Generator) -> bytes:
    """Stored turned, with the EXIF tag that turns it back."""
    orientation = int(rng.choice(list(_STORED)))
    return jpeg(opened(data).transpose(_STORED[orientation]), orientation=orientation)


COPIES: dict[str, tuple[Callable[[bytes, np.random.Generator], bytes], int]] = {
    "exact": (exact, 20),
    "metadata": (metadata, 10),
    "resized": (resized, 20),
    "recompressed": (recompressed, 20),
    "cropped": (cropped, 20),
    "flipped": (flipped, 20),
    "brightness": (brightness, 10),
    "rotated": (rotated, 10),
}
"""Kind → how it is made, and how many are planted among 1,000 originals."""
