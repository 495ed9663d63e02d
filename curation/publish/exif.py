"""EXIF of the images that are packed, where a recipe asks for it: camera, time, place, author, as plain values."""

import io
import json
import struct
from collections.abc import Iterator
from typing import Any

from PIL import ExifTags, Image

from shared.images.foreign import register_extras

LONGEST = 1000
"""Letters of a value: makers' notes are longer, and say nothing to others."""
POINTERS = frozenset(ExifTags.IFD)
"""Tags that say where another block begins."""
BLOCKS = {ExifTags.IFD.Exif: ExifTags.TAGS, ExifTags.IFD.GPSInfo: ExifTags.GPSTAGS}


def with_exif(
    images: Iterator[tuple[dict[str, Any], bytes]], texts: list[str | None]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the images with their EXIF in the facts' `metadata`; append that to `texts`, image by image."""
    register_extras()
    for facts, data in images:
        exif = read_exif(data)
        kept = json.loads(facts.get("metadata") or "{}") | ({"exif": exif} if exif else {})
        text = json.dumps(kept, ensure_ascii=False, sort_keys=True) if kept else None
        texts.append(text)
        yield {**facts, "metadata": text}, data


def read_exif(data: bytes) -> dict[str, Any]:
    """Return the EXIF of an image by the names of its tags; nothing of one that has none, or a broken block."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            exif = image.getexif()
            tags = {ExifTags.TAGS.get(tag): value for tag, value in exif.items() if tag not in POINTERS}
            for block, names in BLOCKS.items():
                tags |= {names.get(tag): value for tag, value in exif.get_ifd(block).items()}
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, AttributeError, struct.error):
        return {}
    plain = {name: _plain(value) for name, value in tags.items() if name}
    return {name: value for name, value in sorted(plain.items()) if value is not None}


def _plain(value: Any) -> Any:
    """Return a tag's value as JSON has it: fractions as decimals, text without its padding; None for bytes."""
    if isinstance(value, str):
        text = value.strip("\0 ")
        return text if 0 < len(text) <= LONGEST and text.isprintable() else None
    if isinstance(value, tuple | list):
        items = [_plain(item) for item in value]
        return items if items and len(items) <= 16 and None not in items else None
    if isinstance(value, bool | int):
        return value
    try:
        number = round(float(value), 8)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if number == number and abs(number) != float("inf") else None
