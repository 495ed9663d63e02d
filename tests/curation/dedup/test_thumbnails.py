"""Small thumbnails dismiss pairs of other pictures or other colours; never a copy, cropped, turned or faded."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from curation.arrays import Bytes
from curation.dedup.geometry.windows import PART_OF, SIDE, best_correlation
from curation.dedup.thumbnails import BEYOND_DOUBT, drawn, may_show
from shared.images.picture import Picture


def shades(seed: int) -> Image.Image:
    """Soft coloured patches."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((320, 240), Image.Resampling.BICUBIC)


def row(image: Image.Image) -> Bytes:
    shown = Picture(image)
    return drawn(shown.tiny[None], shown.small_gray[None])[0]


EDITS = {
    "cropped": lambda image: image.crop((40, 30, 290, 220)),
    "mirrored": ImageOps.mirror,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "gray": lambda image: image.convert("L").convert("RGB"),
    "faded": lambda image: Image.blend(image, Image.new("RGB", image.size, "gray"), 0.5),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_copy_is_never_dismissed(name):
    for seed in range(20):
        picture, copy = row(shades(seed)), row(EDITS[name](shades(seed)))
        assert may_show(picture, copy)
        assert may_show(copy, picture)


def test_other_pictures_are_dismissed():
    rows = [row(shades(seed)) for seed in range(12)]
    shown = [may_show(a, b) for i, a in enumerate(rows) for b in rows[:i]]
    assert np.mean(shown) < 0.1


def test_where_gray_levels_leave_a_doubt_colours_decide():
    doubtful = 0
    for seed in range(20):
        picture = shades(seed)
        other = Image.blend(picture, shades(seed + 100), 0.33)
        recoloured = np.asarray(other.convert("YCbCr")).copy()
        recoloured[..., 1:] = 255 - recoloured[..., 1:]
        rows = [row(picture), row(other), row(Image.fromarray(recoloured, "YCbCr").convert("RGB"))]
        grays = [each[: SIDE * SIDE].tobytes() for each in rows]
        if all(PART_OF <= best_correlation(grays[0], gray) < BEYOND_DOUBT for gray in grays[1:]):
            doubtful += 1
            assert (may_show(rows[0], rows[1]), may_show(rows[0], rows[2])) == (True, False)
    assert doubtful >= 5
