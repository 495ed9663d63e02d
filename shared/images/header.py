"""What a file's header says of it that Pillow's pixels of the first frame do not tell."""

import io
import re

from PIL import Image

MAX_SCANS = 100
"""A JPEG with more is refused, as libtiff does: a scan of a few bytes costs a pass over all pixels. Real ones have a
dozen."""

JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
SCAN, END = b"\xff\xda", b"\xff\xd9"
CODESTREAM = b"\xff\x4f\xff\x51"
"""How the codestream of a JPEG 2000 file begins; the depth of its first channel stands 42 bytes behind."""
BITS_PER_SAMPLE, SAMPLES_PER_PIXEL = 258, 277


def has_too_many_scans(data: bytes) -> bool:
    """Tell whether a JPEG has more scans than real ones."""
    at, scans = 2, 0
    while scans <= MAX_SCANS and (marker := JPEG_MARKER.search(data, at)) and marker[0] != END:
        scans += marker[0] == SCAN
        length = data[marker.end() : marker.end() + 2]
        at = marker.end() + int.from_bytes(length)  # over the whole segment: a thumbnail has scans of its own
    return scans > MAX_SCANS


def holds_more(opened: Image.Image, data: bytes) -> bool:
    """Tell whether there is more in the file than one frame of the channels that Pillow opens.

    Frames, pages, layers, an icon's other sizes, further bands.
    """
    if len(opened.info.get("sizes", ())) > 1:
        return True
    if opened.format == "TIFF" and _tag(opened, SAMPLES_PER_PIXEL) > len(opened.getbands()):
        return True
    try:
        if opened.format == "GIF":  # looking for a second frame leaves the first one unloaded
            with Image.open(io.BytesIO(data), formats=("GIF",)) as again:
                return bool(getattr(again, "is_animated", False))
        return bool(getattr(opened, "is_animated", False))
    except Exception:  # noqa: BLE001  a second frame that is broken is a second frame
        return True


def is_wide(opened: Image.Image, data: bytes) -> bool:
    """Tell whether the file holds colours of more than 8 bits, of which Pillow keeps 8."""
    if opened.format == "PNG":
        return data[24] > 8
    if opened.format == "TIFF":
        return _tag(opened, BITS_PER_SAMPLE) > 8
    if opened.format == "PPM":
        return any(isinstance(number, int) and number > 255 for number in _arguments(opened))
    if opened.format == "JPEG2000":
        at = data.find(CODESTREAM)
        return at < 0 or data[at + 42 : at + 43] == b"" or (data[at + 42] & 0x7F) >= 8
    if opened.format == "AVIF":
        at = data.find(b"av1C")
        return at < 0 or bool(data[at + 6] & 0x40)  # high_bitdepth of the AV1 codec configuration
    if opened.format == "SGI":
        return data[3] > 1
    return opened.format == "DDS" and any(str(value).startswith("BC6") for value in _arguments(opened))


def _tag(opened: Image.Image, number: int) -> int:
    value = getattr(opened, "tag_v2", {}).get(number, 1)
    return int(max(value)) if isinstance(value, tuple) else int(value)


def _arguments(opened: Image.Image) -> tuple[object, ...]:
    """Return what Pillow hands to its decoder."""
    tiles = getattr(opened, "tile", None) or ()
    arguments = tiles[0].args if tiles else ()
    return arguments if isinstance(arguments, tuple) else (arguments,)
