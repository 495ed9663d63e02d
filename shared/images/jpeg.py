"""JPEG files by libjpeg-turbo itself: the very pixels of Pillow, in half its time."""

import simplejpeg
from PIL import Image

from shared.images.halves import Pixels


def jpeg_pixels(opened: Image.Image, data: bytes) -> Pixels | None:
    """Return RGB pixels [height, width, 3] of a JPEG that Pillow opened and did not load yet.

    None where Pillow must decide: inks (CMYK), and whatever libjpeg-turbo warns of, be it cut off or only odd.
    """
    if opened.format != "JPEG" or opened.mode not in ("RGB", "L"):
        return None
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
    except ValueError:
        return None
    return pixels if pixels.shape == (opened.height, opened.width, 3) else None
