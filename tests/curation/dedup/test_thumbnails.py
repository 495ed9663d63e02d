"""Small thumbnails dismiss pairs of other pictures or other colours; never a copy, cropped, turned or faded."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageOps

from curation.arrays import Bytes
from curation.dedup.geometry.window_search import best_shown
from curation.dedup.geometry.windows import SIDE, described
from curation.dedup.thumbnail_pairs import BEYOND_DOUBT, may_show
from curation.dedup.thumbnails import as_one, drawn, picture_of
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
        assert may_show(np.stack([picture, copy]), np.array([[0, 1], [1, 0]])).all()


def test_other_pictures_are_dismissed():
    rows = np.stack([row(shades(seed)) for seed in range(12)])
    assert may_show(rows, np.array([*combinations(range(12), 2)])).mean() < 0.1


def test_where_gray_levels_leave_a_doubt_colours_decide():
    doubtful = 0
    for seed in range(20):
        picture = shades(seed)
        other = Image.blend(picture, shades(seed + 100), 0.33)
        recoloured = np.asarray(other.convert("YCbCr")).copy()
        recoloured[..., 1:] = 255 - recoloured[..., 1:]
        pictures = [picture, other, Image.fromarray(recoloured, "YCbCr").convert("RGB")]
        rows = np.stack([row(each) for each in pictures])
        first, *others = described(rows[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE))
        both_ways = [[*best_shown(first, [each]).values(), *best_shown(each, [first]).values()] for each in others]
        if all(found and max(found).correlation < BEYOND_DOUBT for found in both_ways):
            doubtful += 1
            assert may_show(rows, np.array([[0, 1], [0, 2]])).tolist() == [True, False]
    assert doubtful >= 5


def test_couples_of_more_thumbnails_than_are_held_at_once_are_told_alike(monkeypatch):
    rows = np.stack([row(edit(shades(seed))) for seed in range(3) for edit in (lambda image: image, *EDITS.values())])
    couples = np.array([*combinations(range(len(rows)), 2)])
    at_once = may_show(rows, couples)
    monkeypatch.setattr("curation.dedup.thumbnail_pairs.MOST", 4)
    assert may_show(rows, couples).tolist() == at_once.tolist()
    assert 0 < at_once.mean() < 1


def test_two_stand_for_one_picture_upright_and_in_its_colours_whatever_is_compared_beside_them(monkeypatch):
    pictures = [row(shades(seed)) for seed in range(6)]
    softer = [row(shades(seed).resize((240, 180), Image.Resampling.BICUBIC)) for seed in range(6)]
    other = [row(EDITS[name](shades(seed))) for seed in range(6) for name in ("cropped", "mirrored", "gray")]
    ones = np.stack([*pictures, *np.repeat(pictures, 3, axis=0), *pictures[1:]])
    others = np.stack([*softer, *other, *pictures[:-1]])
    expected = [True] * 6 + [False] * (18 + 5)
    assert as_one(ones, others).tolist() == expected
    monkeypatch.setattr("curation.dedup.thumbnails.BLOCK", 4)
    assert as_one(ones, others).tolist() == expected


@pytest.mark.parametrize("name", ["whole", "turned", "gray"])
def test_a_thumbnail_is_drawn_as_the_picture_was_in_its_colours(name):
    for seed in range(5):
        image = EDITS.get(name, lambda same: same)(shades(seed))
        shown = picture_of(row(image), image.width, image.height)
        assert shown.shape == (image.height, image.width, 3)
        small = [np.asarray(Image.fromarray(np.asarray(each)).resize((6, 6)), np.int16) for each in (image, shown)]
        assert np.abs(small[0] - small[1]).mean() < 12
