"""What is no image that can be decoded is said for what it is, with what to do."""

import importlib.util
import io
import re
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
from conftest import encoded, picture
from PIL import Image

from shared.images import decode as decoding
from shared.images import foreign
from shared.images.decode import UndecodableError, decode

PHOTO = picture(1, (160, 120))


def reason(data: bytes) -> str:
    with pytest.raises(UndecodableError) as caught:
        decode(data)
    return str(caught.value)


def zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.jpg"), b"x")
    return sink.getvalue()


def box(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + bytes(range(200))


KINDS = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12345\n": "pointer of Git LFS.* `git lfs pull`",
    b"/annex/objects/SHA256E-s1--aa.jpg\n": "pointer of git-annex.*`git annex get`",
    b"\n<!DOCTYPE html><html><body>404</body></html>": "an HTML page, not an image",
    b"<html>sorry</html>": "an HTML page, not an image",
    b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>': "an XML document",
    b'<?xml version="1.0"?>\n<svg xmlns="x"/>': "an SVG drawing: render it",
    b'{"error": "forbidden"}': "a JSON document",
    b"%PDF-1.7 ...": "a PDF",
    zipped(): "a zip: give it as a source",
    b"\x1f\x8b\x08 ...": "compressed: unpack it",
    b"FUJIFILMCCD-RAW 0201": "a RAW photo: develop it",
    b"IIRO\x08\0\0\0" + bytes(range(99)): "a RAW photo: develop it",
    box(b"crx "): "a RAW photo of Canon",
    box(b"isom"): "a video: extract its frames",
    b"\0" * 500: "500 zeros: a download that was cut off",
    b"\x93NUMPY\x01\0": "an array of NumPy",
    b"no picture at all": "no image format that Pillow knows",
}


@pytest.mark.parametrize("data", KINDS, ids=KINDS.values())
def test_foreign_bytes_are_named_with_a_remedy(data: bytes) -> None:
    assert re.search(KINDS[data], reason(data))


def modern(kind: str) -> bytes:
    sink = io.BytesIO()
    foreign.register_extras()
    PHOTO.save(sink, kind, quality=95)
    return sink.getvalue()


@pytest.mark.parametrize(("kind", "module"), [("HEIF", "pillow_heif"), ("JXL", "pillow_jxl"), ("AVIF", "")])
def test_phones_images_are_decoded_where_the_extra_is_installed(kind: str, module: str) -> None:
    if module:
        pytest.importorskip(module)
    decoded = decode(modern(kind))
    assert (decoded.format, decoded.image.size) == (kind.lower(), PHOTO.size)
    difference = np.asarray(decoded.image).astype(int) - np.asarray(PHOTO)
    assert np.abs(difference).mean() < 12


@pytest.mark.parametrize(("kind", "extra"), [("HEIF", "heif"), ("JXL", "jxl")])
def test_without_the_extra_they_are_named_with_it(kind: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = modern(kind)
    monkeypatch.setattr(decoding, "_formats", lambda: ["JPEG", "PNG", "TIFF"])
    monkeypatch.setattr(foreign, "find_spec", lambda name: None)
    assert f"install dinoflow[{extra}]" in reason(data)
    assert foreign.decoders() == []
    monkeypatch.setattr(foreign, "find_spec", importlib.util.find_spec)
    assert reason(data).endswith("image: damaged")


def ifd(tags: dict[int, tuple[int, Any]], place: int, following: int = 0) -> bytes:
    """A directory of a TIFF at a place of the file; long values go behind it."""
    head, rest = struct.pack("<H", len(tags)), b""
    behind = place + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        values = value if isinstance(value, list | bytes) else [value]
        data = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{'  HL'[kind - 1]}", *values)
        count = len(data) if kind in (1, 2) else len(values)
        if len(data) > 4:
            head += struct.pack("<HHLL", tag, kind, count, behind + len(rest))
            rest += data
        else:
            head += struct.pack("<HHL", tag, kind, count) + data.ljust(4, b"\0")
    return head + struct.pack("<L", following) + rest


def camera(first: dict[int, tuple[int, Any]], photo: dict[int, tuple[int, Any]], kind: str) -> bytes:
    """A file as cameras write it: a small RGB picture first, the photo in a sub-directory or a later one."""
    pixels, at = bytes(8 * 6 * 3), 8
    small = {256: (3, 8), 257: (3, 6), 258: (3, [8, 8, 8]), 259: (3, 1), 262: (3, 2), 273: (4, at), 277: (3, 3)}
    small |= {278: (3, 6), 279: (4, len(pixels)), **first}
    start = at + len(pixels)
    second = {256: (3, 80), 257: (3, 60), 258: (3, 8), 259: (3, 1), 273: (4, at), 279: (4, 4), **photo}
    draft = ifd(small | ({330: (4, 1)} if kind == "sub" else {}), start, 1)
    place = start + len(draft)
    head = ifd(small | ({330: (4, place)} if kind == "sub" else {}), start, 0 if kind == "sub" else place)
    return b"II*\0" + struct.pack("<L", start) + pixels + head + ifd(second, place)


MAKE, DNG = {271: (2, b"NIKON CORPORATION\0")}, {50706: (1, b"\x01\x04\0\0")}
CAMERAS = {
    "dng": camera({254: (4, 1), **DNG, **MAKE}, {262: (3, 32803)}, "sub"),
    "nef": camera({254: (4, 1), **MAKE}, {262: (3, 32803)}, "sub"),
    "compressed nef": camera({254: (4, 1), **MAKE}, {262: (3, 34892)}, "sub"),
    "arw": camera({**MAKE}, {262: (3, 32803)}, "next"),
    "reduced first": camera({254: (4, 1)}, {262: (3, 2)}, "next"),
}


@pytest.mark.parametrize("kind", CAMERAS)
def test_a_raw_photo_is_refused_by_name_and_never_taken_for_its_thumbnail(kind: str) -> None:
    with Image.open(io.BytesIO(CAMERAS[kind])) as opened:
        assert opened.size == (8, 6)  # what Pillow makes of it
    said = reason(CAMERAS[kind])
    assert "a RAW photo" in said
    assert "80 × 60, whose 8 × 6 preview is not taken for it: develop it to JPEG or TIFF" in said
    assert ("DNG" in said) == (kind == "dng")


def test_other_tiffs_of_several_pictures_are_decoded_as_before() -> None:
    pages = io.BytesIO()
    PHOTO.save(pages, "TIFF", save_all=True, append_images=[PHOTO.resize((320, 240))])
    assert decode(pages.getvalue()).image.size == (160, 120)
    pyramid = camera({}, {262: (3, 2), 254: (4, 1), 256: (3, 4), 257: (3, 3)}, "sub")
    assert decode(pyramid).image.size == (8, 6)
    scanned = camera({**MAKE}, {262: (3, 2), 256: (3, 4), 257: (3, 3)}, "next")
    assert decode(scanned).image.size == (8, 6)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_change_of_a_directory_is_an_exception() -> None:
    rng = np.random.default_rng(0)
    for data in CAMERAS.values():
        for _ in range(100):
            odd = bytearray(data)
            for _ in range(int(rng.integers(1, 6))):
                odd[int(rng.integers(len(odd)))] = int(rng.integers(256))
            foreign.raw_photo(bytes(odd))


def test_a_jpeg_by_another_name_is_a_jpeg() -> None:
    assert decode(encoded(PHOTO)).format == "jpeg"
