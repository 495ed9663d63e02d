"""Halving is Pillow's `reduce`, again and again, and leaves nothing out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.images.halves import Cells, Pixels, halved


def halves(levels: Pixels, long: int) -> Cells:
    return halved(Cells(levels, levels.shape[1::-1]), long)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from((2, 40, 64, 129)), st.booleans(), st.integers(0, 99))
def test_sides_are_halved_as_pillow_does_until_they_are_short(width, height, long, colour, seed):
    shape = (height, width, 3) if colour else (height, width)
    levels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    image, cells = Image.fromarray(levels), [1, 1]
    while max(image.size) >= long:
        factors = tuple(2 if side >= long else 1 for side in image.size)
        image, cells = image.reduce(factors), [cell * factor for cell, factor in zip(cells, factors, strict=True)]
    found = halves(levels, long)
    assert np.array_equal(found.levels, np.asarray(image))
    assert found.size == (width / cells[0], height / cells[1])


def test_pictures_with_short_sides_and_parts_of_others_are_taken_as_they_are():
    levels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    assert halves(levels, 121).levels is levels
    part = levels[3:70, 5:88]
    assert np.array_equal(halves(part, 50).levels, halves(part.copy(), 50).levels)
