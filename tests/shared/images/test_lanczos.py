"""The fast LANCZOS gives Pillow's 32 × 32, bit for bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.images import lanczos


def pillows(pixels: np.ndarray, *box: tuple[float, ...]) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.LANCZOS, *box))


def shrunk(pixels: np.ndarray) -> np.ndarray:
    return lanczos.shrunk(pixels, pixels.shape[1::-1])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 2**32 - 1), st.sampled_from(("any", "two", "flat")))
def test_every_size_and_content_is_shrunk_as_pillow_does(width, height, seed, content):
    rng = np.random.default_rng(seed)
    pixels = {
        "any": lambda: rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        "two": lambda: rng.integers(0, 2, (height, width, 3), dtype=np.uint8) * np.uint8(255),
        "flat": lambda: np.full((height, width, 3), rng.integers(0, 256), np.uint8),
    }[content]()
    assert np.array_equal(shrunk(pixels), pillows(pixels))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), *[st.sampled_from((0, 0.25, 0.5, 0.75, 0.9921875))] * 2)
def test_a_last_row_and_column_of_which_only_a_part_belongs_to_the_picture_count_so_much(width, height, less, lower):
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    size = (width - less, height - lower)
    assert np.array_equal(lanczos.shrunk(pixels, size), pillows(pixels, (0, 0, *size)))


def test_bands_and_parts_of_larger_pictures_make_no_difference(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    part = pixels[20:290, 30:380]
    monkeypatch.setattr(lanczos, "BAND", 1000)
    assert np.array_equal(shrunk(part), pillows(part))


def test_the_tallest_pictures_that_it_takes_itself_have_their_rows_shrunk_last_by_pillow_too():
    for width in (64, 65, 100, 333):
        pixels = np.random.default_rng(width).integers(0, 256, (int(1.5 * width), width, 3), dtype=np.uint8)
        assert np.array_equal(shrunk(pixels), pillows(pixels))
