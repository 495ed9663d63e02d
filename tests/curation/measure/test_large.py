"""Large images are halved before they are measured, which changes next to nothing of what is said of them."""

import numpy as np
import pytest
from conftest import encoded, picture
from PIL import Image, ImageOps

from curation.measure.phash import phashes
from curation.measure.quality_signals import reduced, sharpness
from shared.images.picture import LARGE, Picture
from tests.curation.measure.test_measure import distance, imagededups, measured

SIZES = ((836, 628), (1001, 1503), (1200, 800), (2563, 317), (1920, 1080))
"""All of them LARGE; one divided by every way to count, sides odd and even, one too short to be halved."""


@pytest.mark.parametrize("size", SIZES)
def test_the_hash_of_a_large_image_is_that_of_its_halves_by_pillow(size):
    image, (width, height) = picture(size[0], size), size
    while (factors := tuple(2 if side >= 512 else 1 for side in image.size)) != (1, 1):
        image = image.reduce(factors)
        width, height = width / factors[0], height / factors[1]
    tiny = np.asarray(image.resize((32, 32), Image.Resampling.LANCZOS, (0, 0, width, height)))
    (row,) = measured(encoded(picture(size[0], size), "PNG")).to_pylist()
    assert row["hashes"] == phashes(tiny[None])[0].tobytes()


def test_the_hash_of_a_large_image_is_imagededups_within_two_bits():
    large = [picture(seed, size) for seed, size in enumerate(SIZES * 2)]
    apart = [distance(row["phash"], imagededups(image)) for image, row in zip(large, rows(large), strict=True)]
    assert max(apart) <= 2
    assert sum(apart) <= 0.5 * len(apart)


def test_the_hash_of_an_image_that_is_just_not_large_is_imagededups_bit_for_bit():
    below = [picture(seed, (1023, 512)) for seed in range(4)]
    assert 1023 * 512 < LARGE <= 1024 * 512
    assert [row["phash"] for row in rows(below)] == [imagededups(image) for image in below]
    for image in below:
        assert np.array_equal(Picture(image).tiny, np.asarray(image.resize((32, 32), Image.Resampling.LANCZOS)))


def test_a_copy_of_another_size_or_with_borders_still_meets_a_large_image():
    image = picture(5, (1203, 911))
    plain, framed, smaller, quarter = rows(
        [image, ImageOps.expand(image, 31, "white"), image.resize((1021, 773)), image.resize((301, 228))]
    )
    assert framed["hashes"] == plain["hashes"]
    assert framed["thumbnail"] == plain["thumbnail"]
    assert framed["vector"] == plain["vector"]
    assert distance(smaller["phash"], plain["phash"]) <= 2
    assert distance(quarter["phash"], plain["phash"]) <= 2


@pytest.mark.parametrize("size", SIZES)
def test_signals_of_a_large_image_are_those_of_all_its_pixels(size):
    image = picture(size[1], size)
    (row,) = rows([image])
    assert row["entropy"] == pytest.approx(image.convert("L").entropy(), abs=0.01)
    small = reduced(Picture(image))
    image.thumbnail((64, 64), reducing_gap=None)
    assert small.size == image.size
    whole = sharpness(np.asarray(image.convert("L")), image.size)
    assert sharpness(*small) == pytest.approx(whole, abs=0.02)
    assert row["sharpness"] == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize("size", [*SIZES, (1065, 1017)])
def test_the_small_gray_picture_shows_what_is_where_it_is_in_the_large_one(size):
    image = picture(6, (60, 45)).resize(size, Image.Resampling.BICUBIC)
    cells = np.asarray(image.convert("L").resize((128, 128), Image.Resampling.BOX))
    assert np.abs(Picture(image).small_gray.astype(int) - cells).mean() < 0.75


def test_patterns_are_counted_whole_however_they_lie():
    for size in ((1200, 900), (900, 1200), (840, 1000)):
        for period in (2, 3, 4, 5):
            lines = np.arange(size[0]) % period == 0
            for pattern in (np.tile(lines, (size[1], 1)), np.tile(lines, (size[0], 1)).T):
                image = Image.fromarray(pattern.astype(np.uint8) * 255).convert("RGB")
                (row,) = rows([image])
                assert row["entropy"] == pytest.approx(image.convert("L").entropy(), abs=0.01), (size, period)


def rows(images: list[Image.Image]) -> list[dict]:
    return measured(*(encoded(image, "PNG", compress_level=0) for image in images)).to_pylist()
