"""What an 8-bit RGB picture of the first frame does not show of a file: alpha, deep numbers, other colours, frames.

Two files are the same picture to the last pixel only where this agrees, too. Where it cannot be read channel by channel
(animations, layers, colours of more than 8 bits outside PNG and TIFF), the bytes of the file stand for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from shared.images.deep import REPEATED, DeepValues
from shared.images.ids import digest

SHOWN = ("1", "L", "P", "RGB")
"""Modes that RGB holds without loss, where nothing in them is transparent."""
BAND_PIXELS = 1 << 22
"""Pixels that are worked on at a time: alpha and wide pixels whole would take 40 bytes each."""


@dataclass(frozen=True)
class Hidden:
    """The parts of a file that its RGB picture does not show, turned as the picture is."""

    image: Image.Image | None = None
    """As Pillow opened it, where RGB does not hold all of it."""
    deep: DeepValues | None = None
    """Numbers of more than 8 bits, [H, W] or [H, W, C]."""
    file: bytes = b""
    """The whole file."""
    transparent: str = ""
    """The colour that a deep image declares transparent."""

    @classmethod
    def behind(cls, image: Image.Image, file: bytes) -> "Hidden":
        """Return what an image of 8 bits hides, beside a file that counts whole."""
        return (
            cls(file=file) if image.mode in SHOWN and not image.has_transparency_data else cls(image=image, file=file)
        )

    def digest(self) -> bytes:
        """Return 16 bytes that tell it; none where nothing is hidden."""
        parts = [*self._of_image(), *self._of_deep(), self.file, self.transparent.encode()]
        return digest(*parts) if any(parts) else b""

    def _of_image(self) -> Iterator[bytes]:
        image = self.image
        if image is None:
            return
        if not image.has_transparency_data or image.mode in ("RGBa", "La"):
            yield image.mode.encode()
            yield from (band.tobytes() for band in bands(image))
        elif any(band.convert("RGBA").getchannel("A").getextrema() != (255, 255) for band in bands(image)):
            yield b"RGBA"
            yield from (band.convert("RGBA").tobytes() for band in bands(image))

    def _of_deep(self) -> Iterator[bytes]:
        if self.deep is None:
            return
        opaque = (
            self.deep.ndim == 3 and self.deep.shape[2] == 4 and (self.deep[..., 3] == np.iinfo(np.uint16).max).all()
        )
        values = self.deep[..., :3] if opaque else self.deep
        clear = values.ndim == 3 and values.shape[2] == 4
        if values.ndim == 3 and not clear and (values == values[..., :1]).all():
            values = values[..., 0]  # gray
        if values.dtype == np.uint16 and not (values % REPEATED).any():  # an 8-bit picture in 16 bits
            yield from (b"RGBA", (values // REPEATED).astype(np.uint8).tobytes()) if clear else ()
            return
        yield values.dtype.str.encode()
        yield np.ascontiguousarray(values).tobytes()


def bands(image: Image.Image) -> Iterator[Image.Image]:
    """Yield an image in pieces from top to bottom, each as wide as it is."""
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))
