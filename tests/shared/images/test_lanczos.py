"""The fast LANCZOS gives Pillow's 32 × 32, bit for bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.images import lanczos


def pillows(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.LANCZOS))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 2**32 - 1), st.sampled_from(("any", "two", "flat")))
def test_every_size_and_content_is_shrunk_as_pillow_does(width, height, seed, content):
    rng = np.random.default_rng(seed)
    pixels = {
        "any": lambda: rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        "two": lambda: rng.integers(0, 2, (height, width, 3), dtype=np.uint8) * np.uint8(255),
        "flat": lambda: np.full((height, width, 3), rng.integers(0, 256), np.uint8),
    }[content]()
    assert np.array_equal(lanczos.shrunk(pixels), pillows(pixels))


def test_bands_and_parts_of_larger_pictures_make_no_difference(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    part = pixels[20:290, 30:380]
    monkeypatch.setattr(lanczos, "BAND", 1000)
    assert np.array_equal(lanczos.shrunk(part), pillows(part))


def test_the_tallest_pictures_that_it_takes_itself_have_their_rows_shrunk_last_by_pillow_too():
    for width in (64, 65, 100, 333):
        pixels = np.random.default_rng(width).integers(0, 256, (int(1.5 * width), width, 3), dtype=np.uint8)
        assert np.array_equal(lanczos.shrunk(pixels), pillows(pixels))
