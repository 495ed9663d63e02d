"""Crops and their source: boxes, resizing, decoding no more than is needed."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.images.decode import decode
from training.data.decode import decoded, scale_for
from training.data.multi_crop import ImagePyramid, keyed_rng, multi_crop, random_box, resized
from training.params import AugmentParams, CropParams

FULL = CropParams(global_size=4000, local_count=0)
"""Crops so large that nothing is decoded at less than its size."""


def picture(width: int, height: int) -> Image.Image:
    """Draw something smooth with edges and some grain."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width] / height
    waves = [np.sin(9 * x + 5 * y), np.cos(40 * x * y), ((x * 7).astype(int) + (y * 7).astype(int)) % 2 - 0.5]
    pixels = 128 + 70 * np.stack(waves, axis=-1) + rng.normal(0, 5, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def test_boxes_cover_the_area_and_aspect_asked_for() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, top, right, bottom = random_box(200, 100, (0.1, 0.3), rng)
        assert 0 <= left < right <= 200
        assert 0 <= top < bottom <= 100
        assert 0.08 < (right - left) * (bottom - top) / 20000 < 0.33
        assert 0.7 < (right - left) / (bottom - top) < 1.43


@pytest.mark.parametrize("size", [(224, 224), (98, 98), (500, 400), (7, 300)])
def test_resizing_is_pillows_antialiased_bicubic(size: tuple[int, int]) -> None:
    image = picture(300, 200)
    other = np.asarray(image.crop((20, 10, 280, 190)).resize(size, Image.Resampling.BICUBIC)).astype(int)
    gap = np.abs(resized(np.asarray(image)[10:190, 20:280], *size).astype(int) - other)
    assert gap.mean() < 0.1
    assert gap.max() <= 3


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_what_is_decoded_at_full_size_is_what_curation_saw(mode: str, rotation: int) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = jpeg(picture(60, 40).convert(mode), exif=exif)
        assert np.array_equal(decoded(data, rotation, FULL), np.asarray(decode(data, rotation).image))
    file = io.BytesIO()
    picture(60, 40).save(file, "PNG")
    assert np.array_equal(decoded(file.getvalue(), rotation, FULL), np.asarray(decode(file.getvalue(), rotation).image))


@pytest.mark.parametrize(
    ("size", "crops", "scale"),
    [
        ((500, 375), CropParams(), 1),
        ((1440, 1080), CropParams(), 1),
        ((2000, 1500), CropParams(), 2),
        ((4000, 3000), CropParams(), 4),
        ((12000, 9000), CropParams(), 8),
        ((12000, 100), CropParams(), 1),
        ((500, 375), CropParams(shrink=80), 2),
        ((4000, 3000), CropParams(shrink=80), 8),
    ],
)
def test_no_crop_is_made_of_fewer_pixels_than_it_needs(size: tuple[int, int], crops: CropParams, scale: int) -> None:
    assert scale_for(*size, crops) == scale
    width, height = (side // scale for side in size)
    if not crops.shrink and scale > 1:
        boxes = [random_box(width, height, crops.local_scale, keyed_rng(row)) for row in range(500)]
        assert min(min(right - left, bottom - top) for left, top, right, bottom in boxes) >= 1.4 * crops.local_size


def test_crops_of_a_part_of_the_pixels_look_like_crops_of_all() -> None:
    """Half the pixels at twice the needs of a crop: under a gray level on average, and the smallest crop at 1.5."""
    image = picture(1600, 1200)
    data, whole = jpeg(image), np.asarray(Image.open(io.BytesIO(jpeg(image))))
    half = decoded(data, 0, CropParams(global_size=128, local_count=0))
    assert half.shape == (600, 800, 3)
    for spare, limit in ((1.5, 1.1), (2.0, 0.7), (3.0, 0.4)):
        side = int(98 * spare)
        one = resized(half[200 : 200 + side, 300 : 300 + side], 98, 98).astype(int)
        other = resized(whole[400 : 400 + 2 * side, 600 : 600 + 2 * side], 98, 98).astype(int)
        assert np.abs(one - other).mean() < limit


@pytest.mark.parametrize("size", [224, 98])
def test_crops_of_a_halved_image_look_like_crops_of_the_whole(size: int) -> None:
    pixels = np.array(picture(1600, 1200))
    levels, gaps = ImagePyramid(pixels), []
    for row in range(30):
        left, top, right, bottom = (side // 8 * 8 for side in random_box(1600, 1200, (0.2, 1.0), keyed_rng(row)))
        whole = resized(pixels[top:bottom, left:right], size, size)
        gaps.append(np.abs(levels.crop((left, top, right, bottom), size).astype(int) - whole).mean())
    assert len(levels.levels) > 1
    assert np.median(gaps) < 0.8
    assert max(gaps) < 1.2


def test_half_of_the_crops_are_flipped() -> None:
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[:, 16:] = 255
    crops = CropParams(global_size=8, global_scale=(1, 1), local_count=0)
    views = [multi_crop(pixels, crops, AugmentParams(), keyed_rng(row)).global_crops for row in range(200)]
    flipped = np.concatenate(views)[:, 4, 0, 0] > 128
    assert 0.4 < flipped.mean() < 0.6
    assert not any(
        multi_crop(pixels, crops, AugmentParams(flip=0), keyed_rng(row)).global_crops[:, 4, 0, 0].any()
        for row in range(9)
    )
