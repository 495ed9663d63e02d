"""libjpeg-turbo's pixels are Pillow's, and Pillow has the last word on what is odd."""

import io

import numpy as np
import pytest
from conftest import encoded, picture
from PIL import Image

from shared.images.decode import UndecodableError, decode
from shared.images.jpeg import jpeg_pixels


def fast(data: bytes) -> np.ndarray | None:
    with Image.open(io.BytesIO(data)) as opened:
        return jpeg_pixels(opened, data)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_pixels_are_those_of_pillow(mode, subsampling, progressive):
    for seed, size in enumerate(((64, 48), (33, 71), (129, 1), (1, 1))):
        data = encoded(picture(seed, size).convert(mode), subsampling=subsampling, progressive=progressive)
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert np.array_equal(fast(data), expected)
        assert np.array_equal(decode(data).picture.pixels, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_and_the_rotation_of_the_source_apply_to_them(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = encoded(picture(3, (40, 24)))
    turned = encoded(picture(3, (40, 24)), exif=exif)
    upright = Image.open(io.BytesIO(turned)).convert("RGB")
    expected = np.rot90(np.asarray(upright_of(upright, orientation)))
    assert np.array_equal(decode(turned, 90).picture.pixels, expected)
    assert decode(turned).format == decode(plain).format == "jpeg"


def upright_of(image: Image.Image, orientation: int) -> Image.Image:
    image.getexif()[0x0112] = orientation
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def test_inks_and_files_cut_off_are_left_to_pillow():
    assert fast(encoded(picture(1).convert("CMYK"))) is None
    data = encoded(picture(1))
    assert fast(data[: len(data) // 2]) is None
    with pytest.raises(UndecodableError, match="truncated"):
        decode(data[: len(data) // 2])
    assert np.array_equal(decode(data + b"trailing bytes").picture.pixels, decode(data).picture.pixels)
