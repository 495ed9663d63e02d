import contextlib
import io

import numpy as np
import pytest
from conftest import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.images.decode import UndecodableError, decode


def colour_at(data: bytes, place: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    return decode(data).image.getpixel(place)


def test_pixels_come_upright_whatever_the_camera_held():
    upright = picture(1)
    exif = Image.Exif()
    exif[274] = 6  # stored a quarter turn to the left
    turned = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    assert np.array_equal(np.asarray(decode(turned).image), np.asarray(upright))


def test_alpha_lies_on_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert colour_at(encoded(clear, "PNG")) == (255, 255, 255)
    gray = Image.new("LA", (4, 4), (0, 128))
    assert colour_at(encoded(gray, "PNG")) == (127, 127, 127)


def test_a_palette_with_transparency_lies_on_white():
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([9, 9, 9] + [0] * 765)
    assert colour_at(encoded(palette, "PNG", transparency=0)) == (255, 255, 255)


def test_sixteen_bits_become_eight_without_wrapping():
    deep = Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16))
    assert colour_at(encoded(deep, "PNG"))[0] == 40000 >> 8


def test_cmyk_and_gray_and_bilevel_become_rgb():
    for mode in ("CMYK", "L"):
        assert decode(encoded(picture(2).convert(mode))).image.mode == "RGB"
    assert decode(encoded(picture(2).convert("1"), "PNG")).image.mode == "RGB"


def test_of_an_animation_the_first_frame_counts():
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    moving = encoded(first, "GIF", save_all=True, append_images=[second])
    assert colour_at(moving) == (255, 0, 0)


def test_a_truncated_file_is_refused_not_padded_with_gray():
    data = encoded(picture(3))
    with pytest.raises(UndecodableError):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused_with_a_reason(data):
    with pytest.raises(UndecodableError, match=r"\w"):
        decode(data)


def test_a_bomb_is_refused_by_its_header(monkeypatch):
    monkeypatch.setattr("shared.images.decode.MAX_PIXELS", 100)
    with pytest.raises(UndecodableError, match="11 × 10 pixels, more than the limit"):
        decode(encoded(Image.new("RGB", (11, 10)), "PNG"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_mutation_of_a_real_file_raises_anything_else(data):
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]))
    sink = io.BytesIO()
    picture(4, (24, 16)).save(sink, kind)
    mutated = bytearray(sink.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UndecodableError):
        assert decode(bytes(mutated)).image.mode == "RGB"
