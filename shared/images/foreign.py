"""What bytes are that are no image that can be decoded, and what to do about it; and RAW photos, by their own tags."""

import io
import re
import struct
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from PIL import TiffImagePlugin

RAW_REMEDY = "develop it to JPEG or TIFF, or keep the JPEG that the camera wrote beside it"
HEIF_REMEDY = "install dinoflow[heif]"
JXL_REMEDY = "install dinoflow[jxl]"

EXTRAS = {HEIF_REMEDY: "pillow_heif", JXL_REMEDY: "pillow_jxl"}

BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file: run `git lfs pull`"),
    (rb"(\.\./)*(\.git)?/?annex/objects", "a pointer of git-annex, not the file: run `git annex get`"),
    (rb"\s*(<!doctype html|<html|<head|<body)", "an HTML page, not an image: the address gave an error or a login"),
    (rb"(?s)\s*(<\?xml.{0,500})?<svg", "an SVG drawing: render it to PNG"),
    (rb"\s*<\?xml", "an XML document, not an image: the address may have given an error"),
    (rb"\s*\{\s*\"", "a JSON document, not an image: the address may have given an error"),
    (rb"%PDF", "a PDF: extract its pictures, or render its pages"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript drawing: render it to PNG"),
    (rb"PK\x03\x04", "a zip: give it as a source of its own"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "compressed: unpack it"),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", f"a JPEG XL image: {JXL_REMEDY}"),
    (rb"FUJIFILMCCD-RAW|II[RU][\0OS]|MMOR|IIU\0|FOVb|\0MRM|HEAPCCDR", f"a RAW photo: {RAW_REMEDY}"),
    (rb".{4}ftypcrx", f"a RAW photo of Canon: {RAW_REMEDY}"),
    (rb"(?s).{4}ftyp(hei|hev|mif1|msf1)", f"a HEIC image: {HEIF_REMEDY}"),
    (rb"(?s).{4}ftypavi[fs]", "an AVIF image: install Pillow 11.3 or newer"),
    (rb"(?s).{4}(ftyp|moov|mdat)|RIFF.{4}AVI |\x1aE\xdf\xa3", "a video: extract its frames"),
    (rb"\x93NUMPY", "an array of NumPy: save it as PNG or TIFF"),
    (rb"\x7fELF|MZ", "a program"),
)
"""What the first bytes of a file match → what it is, and the remedy."""
PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), words) for pattern, words in BEGINNINGS)

UNKNOWN = "no image format that Pillow knows"
REDUCED, SUB_IFDS, MAKE, DNG_VERSION = 254, 330, 271, 50706
COLOUR_FILTER = 32803
"""The photometric interpretation of pixels that see one colour each."""
MAX_DIRECTORIES = 64


def foreign(data: bytes) -> str:
    """Return what some bytes are that no decoder took."""
    if not data.strip(b"\0"):
        return f"{len(data):,} zeros: a download that was cut off, or a damaged disk"
    words = next((words for pattern, words in PATTERNS if pattern.match(data)), UNKNOWN)
    installed = next((remedy for remedy, module in EXTRAS.items() if remedy in words and find_spec(module)), None)
    return words.replace(installed, "damaged") if installed else words


def raw_photo(data: bytes) -> str | None:
    """Return why a TIFF is a RAW photo, whose first picture is its thumbnail; None where it is none.

    DNG, NEF, CR2, ARW and others are TIFFs. Their first directory is a small picture, marked as reduced, or the only
    one that is no colour filter array; the photo stands in a sub-directory or in a later one.
    """
    try:
        directories = _directories(data)
    except (SyntaxError, OSError, ValueError, KeyError, IndexError, TypeError, struct.error):
        return None
    if not directories:
        return None
    first, *others = directories
    width, height = _size(first)
    larger = max(others, key=lambda one: _size(one)[0] * _size(one)[1], default=None)
    is_filter = any(one.get(262) == COLOUR_FILTER for one in directories)
    is_camera = DNG_VERSION in first or data[8:10] == b"CR" or (MAKE in first and SUB_IFDS in first)
    is_small = larger is not None and _size(larger)[0] * _size(larger)[1] > width * height
    if not is_filter and not (is_small and (is_camera or first.get(REDUCED, 0) & 1)):
        return None
    kind = "DNG" if DNG_VERSION in first else str(first.get(MAKE, "")).strip("\0 ") or "a camera"
    whole = "{} × {}".format(*_size(larger)) if larger is not None and is_small else "unknown size"
    return f"a RAW photo ({kind}) of {whole}, whose {width} × {height} preview is not taken for it: {RAW_REMEDY}"


def _directories(data: bytes) -> list[Any]:
    """Return the first directory of a TIFF, its sub-directories, and those that follow."""
    file = io.BytesIO(data)
    header = file.read(8)
    if header[:4] not in (b"II*\0", b"MM\0*"):
        return []
    found: list[Any] = []
    waiting = [struct.unpack(("<" if header[:2] == b"II" else ">") + "L", header[4:8])[0]]
    seen: set[int] = set()
    while waiting and len(found) < MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if offset in seen or not 0 < offset < len(data):
            continue
        seen.add(offset)
        directory = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(offset)
        directory.load(file)
        found.append(directory)
        inside = directory.get(SUB_IFDS, ())
        waiting += [inside] if isinstance(inside, int) else list(inside)
        waiting.append(directory.next)
    return found


def _size(directory: Any) -> tuple[int, int]:
    width, height = directory.get(256, 0), directory.get(257, 0)
    return (width, height) if isinstance(width, int) and isinstance(height, int) else (0, 0)


def register_extras() -> None:
    """Let Pillow open HEIC and JPEG XL, where their packages are installed."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    with suppress(ImportError):
        import pillow_jxl  # noqa: F401  registers itself


def decoders() -> list[str]:
    """Return the extra decoders that are installed: what they decode is measured only where they are."""
    return [name for name in EXTRAS.values() if find_spec(name)]
