"""File bytes, and small pictures, to inline JPEGs: the page carries its pictures with it."""

import base64
import io

from PIL import Image

from shared.images.decode import UndecodableError, decode

SIDE = 148
MAX_BYTES = 8_000
"""A page holds up to 400 pictures, and should stay below 5 MB in base64."""

MADE_BY = f"1 {SIDE} {MAX_BYTES}"
"""How a thumbnail is made: raise the first number when one is made otherwise, or old ones stay on new pages."""


def data_uri(data: bytes | None, side: int = SIDE, limit: int = MAX_BYTES, rotation: int | None = None) -> str | None:
    """Return a picture as a data URI of at most `limit` bytes or so; null where nothing can be decoded."""
    if not data:
        return None
    try:
        image = decode(data, rotation).image
    except UndecodableError:
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return inlined(image, limit)


def inlined(image: Image.Image, limit: int = MAX_BYTES) -> str:
    """Return a small picture as a data URI of at most `limit` bytes or so."""
    for quality in (82, 65, 45, 25):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= limit:
            break
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
