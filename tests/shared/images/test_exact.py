"""Exact means exact: pictures have one id only where another decoder, OpenCV, sees the same in all of the file."""

from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from conftest import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curation.measure.contents import FileRead
from curation.measure.measure import measure_files
from curation.params import MeasureParams
from shared.images.decode import decode

STORED = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
"""EXIF orientation → the Pillow transposition that makes the stored pixels of upright ones."""


class File(NamedTuple):
    """Bytes, and the upright picture that OpenCV is to find in them."""

    data: bytes
    seen: bytes
    """All frames as 16-bit RGBA, with their shapes."""


def pixels_id(data: bytes) -> bytes:
    ((row, *_),) = measure_files([FileRead(data)], MeasureParams())
    assert row["error"] is None
    return row["pixels_id"]


def as_rgba16(array: np.ndarray) -> np.ndarray:
    """Any array of OpenCV's as 16-bit RGBA, an 8-bit number v being 257 v."""
    deep = array.astype(np.uint16) * 257 if array.dtype == np.uint8 else array
    deep = deep[..., None] if deep.ndim == 2 else deep
    colours = np.repeat(deep[..., :1], 3, axis=2) if deep.shape[2] < 3 else deep[..., 2::-1]
    alpha = deep[..., 3:] if deep.shape[2] == 4 else np.full_like(colours[..., :1], 65535)
    return np.concatenate([colours, alpha], axis=2)


def by_opencv(data: bytes, orientation: int = 1) -> bytes:
    buffer = np.frombuffer(data, np.uint8)
    found, frames = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED)
    if not found or len(frames) < 2:
        frames = [cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)]
    undone = {1: [], 2: [np.fliplr], 3: [np.fliplr, np.flipud], 4: [np.flipud], 6: [lambda a: np.rot90(a, 3)]}
    undone |= {8: [np.rot90]}
    seen = []
    for frame in map(as_rgba16, frames):
        for step in undone[orientation]:
            frame = step(frame)
        seen.append(f"{frame.shape}".encode() + np.ascontiguousarray(frame).tobytes())
    return b"|".join(seen)


def opencv_file(array: np.ndarray, ending: str) -> bytes:
    """Write RGB or RGBA in OpenCV's order of colours."""
    order = array if array.ndim == 2 else array[..., [2, 1, 0, 3][: array.shape[2]]]
    done, data = cv2.imencode(ending, np.ascontiguousarray(order))
    assert done
    return data.tobytes()


def pixels(seed: int, depth: int, channels: int) -> np.ndarray:
    """Few pictures, so that equal ones are drawn often; alpha of the third and later is opaque."""
    rng = np.random.default_rng(seed % 2)
    shape = (5, 7, channels) if channels > 1 else (5, 7)
    array = rng.integers(0, 256, shape).astype(np.uint16)
    if channels == 4 and seed >= 2:
        array[..., 3] = 255
    if depth == 8:
        return array.astype(np.uint8)
    return array * 257 if seed % 4 < 2 else array * 16 + seed


@st.composite
def files(draw: st.DrawFn) -> File:
    """A file whose hidden parts may differ from another's while its first frame in 8 bits does not.

    OpenCV multiplies the colours of an 8-bit TIFF by its alpha: such files are left out.
    """
    kind = draw(st.sampled_from(["png8", "bmp", "tiff8", "png16", "tiff16", "gif", "pages", "turned"]))
    seed = draw(st.integers(0, 5))
    channels = draw(st.sampled_from([1, 3] if kind in ("tiff8", "pages") else [1, 3, 4]))
    if kind in ("png16", "tiff16"):
        data = opencv_file(pixels(seed, 16, channels), f".{kind[:-2]}")
        return File(data, by_opencv(data))
    image = Image.fromarray(pixels(seed, 8, channels))
    if kind == "turned":
        orientation = draw(st.sampled_from([2, 3, 4, 6, 8]))
        exif = Image.Exif()
        exif[274] = orientation
        data = encoded(image.transpose(Image.Transpose(STORED[orientation])), "PNG", exif=exif)
        return File(data, by_opencv(data, orientation))
    if kind in ("gif", "pages"):
        more = [Image.fromarray(pixels(seed + n, 8, channels)) for n in range(1, draw(st.integers(1, 3)))]
        whole = {"save_all": True, "append_images": more}
        data = encoded(image.convert("L") if kind == "gif" else image, "GIF" if kind == "gif" else "TIFF", **whole)
        return File(data, by_opencv(data))
    data = encoded(image.convert("RGB") if kind == "bmp" else image, {"png8": "PNG", "tiff8": "TIFF"}.get(kind, "BMP"))
    return File(data, by_opencv(data))


@settings(max_examples=150, deadline=None)
@given(st.lists(files(), min_size=2, max_size=8))
def test_pictures_of_one_id_are_the_same_to_another_decoder(drawn):
    ids = [pixels_id(file.data) for file in drawn]
    for (one, first), (other, second) in combinations(zip(drawn, ids, strict=True), 2):
        if first == second:
            assert one.seen == other.seen


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 5), st.sampled_from([1, 3, 4]), st.sampled_from([2, 3, 4, 6, 8]))
def test_the_same_picture_has_one_id_in_png_tiff_bmp_turned_and_with_opaque_alpha(seed, channels, orientation):
    plain = Image.fromarray(pixels(seed, 8, channels))
    exif = Image.Exif()
    exif[274] = orientation
    stored = plain.transpose(Image.Transpose(STORED[orientation]))
    same = [encoded(plain, "PNG"), encoded(plain, "TIFF"), encoded(stored, "PNG", exif=exif)]
    same += [opencv_file(pixels(seed, 8, channels).astype(np.uint16) * 257, ".png")]
    if channels < 4:
        opaque = plain.convert("RGB")
        opaque.putalpha(255)
        same += [encoded(plain.convert("RGB"), "BMP"), encoded(opaque, "PNG"), encoded(plain, "WEBP", lossless=True)]
    assert len({pixels_id(data) for data in same}) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_values_are_the_same_picture_in_png_and_tiff(channels):
    deep = pixels(2, 16, channels)
    assert pixels_id(opencv_file(deep, ".png")) == pixels_id(opencv_file(deep, ".tiff"))
    assert pixels_id(opencv_file(deep, ".png")) != pixels_id(opencv_file(deep + 1, ".png"))


def hidden_pairs() -> dict[str, tuple[bytes, bytes]]:
    """Two files each whose first frames look the same in 8-bit RGB on white."""
    one, other = picture(1, (24, 16)), picture(2, (24, 16))
    black = Image.new("RGB", (24, 16))

    def clear(image: Image.Image) -> bytes:
        image = image.copy()
        image.putalpha(0)
        return encoded(image, "PNG")

    def logo(left: int) -> bytes:
        image = Image.new("RGBA", (24, 16))
        image.paste("white", (left, 4, left + 6, 12))
        return encoded(image, "PNG")

    def fading(image: Image.Image, kind: str) -> bytes:
        return encoded(black, kind, save_all=True, append_images=[image])

    ink = np.zeros((16, 24, 4), np.uint8)
    ink[..., 3] = 255
    more_ink = ink.copy()
    more_ink[..., 0] = 90
    return {
        "all clear": (clear(one), clear(other)),
        "white on nothing": (logo(2), logo(12)),
        **{
            f"second frame of {kind}": (fading(one, kind), fading(other, kind))
            for kind in ("GIF", "PNG", "WEBP", "TIFF")
        },
        "mpo": tuple(encoded(black, "MPO", save_all=True, append_images=[second]) for second in (one, other)),
        "ink under black": (
            encoded(Image.fromarray(ink, "CMYK"), "TIFF"),
            encoded(Image.fromarray(more_ink, "CMYK"), "TIFF"),
        ),
        "floats": tuple(
            encoded(Image.fromarray(np.full((16, 24), value, np.float32)), "TIFF") for value in (0.25, 0.5)
        ),
        "pgm": tuple(b"P5 2 1 65535\n" + low + b"\xff\xff" for low in (b"\x00\x01", b"\x00\x02")),
        "ppm": tuple(b"P6 1 1 65535\n" + low + b"\xff\xff\xff\xff" for low in (b"\x10\x01", b"\x10\x02")),
        "a key of clear gray": tuple(
            encoded(Image.fromarray(np.full((4, 4), 40_000, np.uint16)), "PNG", **key)
            for key in ({}, {"transparency": 3})
        ),
    }


@pytest.mark.parametrize("kind", hidden_pairs())
def test_what_the_first_frame_on_white_does_not_show_still_tells_pictures_apart(kind):
    first, second = hidden_pairs()[kind]
    assert np.array_equal(np.asarray(decode(first).image), np.asarray(decode(second).image))
    assert pixels_id(first) != pixels_id(second)


def test_metadata_alone_leaves_a_still_picture_the_same():
    exif = Image.Exif()
    exif[270] = "a caption"
    assert pixels_id(encoded(picture(1), "PNG", exif=exif)) == pixels_id(encoded(picture(1), "PNG"))
