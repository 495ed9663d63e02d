import io
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from curation.dedup.geometry.agreement import glance
from curation.dedup.geometry.alignments import MIRROR, climbed, map_of_turn, matched
from curation.dedup.geometry.compare import SIGHT, compared
from curation.dedup.geometry.features import LocalFeatures
from curation.dedup.geometry.frame import KEPT
from flows.demo.corpus.scene import picture as scene
from tests.described import describe, trimmed

KINDS = ("brick_house", "flower", "letters", "tree")


@cache
def drawn(number: int) -> Image.Image:
    """A busy drawn picture that no other number resembles."""
    return scene(KINDS[number % len(KINDS)], np.random.default_rng([7, number]), (300, 220))


@cache
def described(number: int) -> LocalFeatures:
    return describe(drawn(number))


def copies(a: LocalFeatures, b: LocalFeatures) -> bool:
    return compared(a, b).verdict == "copy"


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cropped(image: Image.Image, share: float) -> Image.Image:
    x, y = round(image.width * share), round(image.height * share)
    return image.crop((x, y, image.width - x, image.height - y))


def watermarked(image: Image.Image) -> Image.Image:
    marked = image.copy()
    pen = ImageDraw.Draw(marked)
    pen.text((20, 90), "SAMPLE", fill="white", font_size=50)
    return Image.blend(image, marked, 0.6)


def captioned(image: Image.Image) -> Image.Image:
    page = ImageOps.expand(image, (0, 60, 0, 0), "white")
    ImageDraw.Draw(page).text((20, 15), "when you see it", fill="black", font_size=30)
    return page


COPIES = {
    "crop": lambda image: cropped(image, 0.15),
    "corner": lambda image: image.crop((0, 0, 210, 160)),
    "pad": lambda image: ImageOps.expand(image, (60, 20, 10, 40), (250, 250, 250)),
    "caption": captioned,
    "flip": ImageOps.mirror,
    "mirrored crop": lambda image: ImageOps.mirror(cropped(image, 0.12)),
    "quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "tilt": lambda image: cropped(image.rotate(4, Image.Resampling.BICUBIC), 0.06),
    "watermark": watermarked,
    "recompression": lambda image: recompressed(image, 20),
    "gray": lambda image: image.convert("L").convert("RGB"),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "thumbnail": lambda image: image.resize((64, 64)),
    "enlarged": lambda image: image.resize((900, 660)),
}


PLAIN, RICH = 0, (8, 10, 18)
"""Numbers of a picture of few colours, which another design could share, and of pictures that none could."""
UNSURE = ("flip", "mirrored crop", "quarter turn", "watermark", "recompression")


@pytest.mark.parametrize("kind", [kind for kind in COPIES if kind not in UNSURE])
def test_a_plain_picture_has_copies_too(kind):
    assert copies(described(PLAIN), describe(COPIES[kind](drawn(PLAIN))))


@pytest.mark.parametrize("kind", UNSURE)
def test_a_plain_picture_that_is_turned_or_marked_may_be_another_one(kind):
    comparison = compared(described(PLAIN), describe(COPIES[kind](drawn(PLAIN))))
    assert comparison.verdict == "look-alike"
    assert comparison.score >= 1


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("number", RICH)
def test_a_copy_resembles_its_original(kind, number):
    assert compared(described(number), describe(COPIES[kind](drawn(number)))).verdict == "copy"


def test_other_pictures_do_not():
    for i in range(8):
        for j in range(i):
            assert not copies(described(i), described(j))


def test_a_copy_under_a_word_is_told_from_other_pictures_from_afar():
    def seen(a: LocalFeatures, b: LocalFeatures) -> float:
        return glance(a, b, map_of_turn(a.small.shape, b.small.shape, 0, False))

    assert all(seen(described(number), describe(watermarked(drawn(number)))) >= SIGHT for number in RICH)
    assert all(seen(described(i), described(j)) < SIGHT for i in range(8) for j in range(i))


def test_a_map_is_made_better_however_it_lies_in_memory():
    a, b = described(0).gray, np.roll(described(0).gray, 2, axis=1)
    start = np.array([[1.01, 0, 0], [0, 1.01, 0]])
    better = climbed(a, b, start, 40)
    assert better is not None
    assert better[0, 2] == pytest.approx(2, abs=0.2)
    assert np.array_equal(better, climbed(a, b, np.asfortranarray(start), 40))
    assert climbed(a, np.zeros_like(b), start, 40) is None


def test_what_opencv_refuses_is_no_picture_that_does_not_correlate():
    with pytest.raises(cv2.error):
        climbed(described(0).gray, described(0).gray.astype(np.float64), np.eye(2, 3), 4)


def gradient(turn: int, size: tuple[int, int] = (200, 150)) -> Image.Image:
    colours = ImageOps.colorize(Image.linear_gradient("L"), ("navy", "black")[turn % 2], "white")
    return colours.rotate(90 * turn).resize(size)


def test_blanks_and_gradients_resemble_nothing_by_geometry():
    plain = [Image.new("RGB", (90, 70), colour) for colour in ("white", "white", "teal")]
    features = [describe(image) for image in [*plain, *(gradient(turn) for turn in range(4))]]
    for a in features:
        assert all(compared(a, b).score == 0.0 for b in features)


def product_shot(number: int) -> Image.Image:
    """The same page and the same label, another thing on it."""
    page = Image.new("RGB", (320, 320), "white")
    page.paste(drawn(number).resize((150, 150)), (85, 60))
    pen = ImageDraw.Draw(page)
    pen.rectangle((40, 250, 280, 290), outline="black", width=3)
    pen.text((60, 255), "ORDER NOW", fill="black", font_size=28)
    return page


def test_a_shared_template_does_not_make_a_copy():
    shots = [describe(product_shot(number)) for number in range(5)]
    for i, a in enumerate(shots):
        assert not any(copies(a, b) for b in shots[:i])


def test_two_pictures_with_the_same_hole_are_no_copies():
    def holed(number):
        image = drawn(number).copy()
        ImageDraw.Draw(image).ellipse((90, 50, 210, 170), fill="white")
        return describe(image)

    holes = [holed(number) for number in range(4)]
    for i, a in enumerate(holes):
        assert not any(copies(a, b) for b in holes[:i])


def test_resemblance_is_symmetric_and_does_not_depend_on_what_was_compared_before():
    everything = [described(number) for number in range(4)]
    everything += [describe(COPIES[kind](drawn(number))) for number, kind in enumerate(("crop", "flip", "thumbnail"))]
    pairs = [(a, b) for a in everything for b in everything]
    forward = [compared(a, b)[:2] for a, b in pairs]
    cv2.setRNGSeed(99)
    assert [compared(b, a)[:2] for a, b in reversed(pairs)] == forward[::-1]


def same(a: LocalFeatures, b: LocalFeatures) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in LocalFeatures.__dataclass_fields__)


def test_features_depend_neither_on_threads_nor_on_what_was_described_before(monkeypatch):
    alone = describe(drawn(1))
    describe(drawn(2))
    set_threads, before = cv2.setNumThreads, cv2.getNumThreads()
    monkeypatch.setattr(cv2, "setNumThreads", lambda count: None)  # describe() would go back to one
    try:
        for threads in (2, 7):
            set_threads(threads)
            assert same(describe(drawn(1)), alone)
    finally:
        set_threads(before)


def test_mirroring_a_picture_permutes_its_descriptors():
    a, b = described(0), describe(ImageOps.mirror(drawn(0)))
    found = list(matched(a, b))
    assert len(found) == 1  # nothing matches as it is
    assert np.linalg.det(found[0][:, :2]) == pytest.approx(-1, abs=0.02)
    assert np.array_equal(MIRROR[MIRROR], np.arange(128))


def test_keypoints_of_a_tiny_file_lie_where_those_of_its_original_do():
    missed = []
    for number in range(8):
        large, tiny = described(number), describe(drawn(number).resize((64, 47)))
        (affine,) = matched(large, tiny)
        middle = np.array([*(np.array(large.gray.shape[::-1]) - 1) / 2, 1])
        missed.append((affine - map_of_turn(large.gray.shape, tiny.gray.shape, 0, False)) @ middle)
    assert np.median(missed, axis=0) == pytest.approx(0, abs=0.1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([0, 1, 2]), st.integers(1, 5))
def test_any_size_works(width, height, number, stretch):
    image = drawn(number).resize((width * stretch**2 if height < 20 else width, height))
    features = describe(image)
    assert features.keypoints.descriptors.shape == (len(features.keypoints.points), 128)
    assert max(features.gray.shape) == 128
    for other in (features, described(0), described(3)):
        assert compared(features, other)[:2] == compared(other, features)[:2]


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(0, 90)] * 4), st.sampled_from(["white", "black", "teal"]), st.sampled_from([0, 1, 2]))
def test_borders_are_cut_to_the_pixel(border, colour, number):
    image = drawn(number)
    assert trimmed(image) is image
    cut = trimmed(ImageOps.expand(image, border, colour))
    assert cut.size == image.size
    assert cut.tobytes() == image.tobytes()


def test_a_border_of_jpeg_noise_is_cut_too():
    image = trimmed(recompressed(ImageOps.expand(drawn(0), 40, "gray"), 60))
    assert 300 <= image.width <= 308  # the blocks of eight pixels that the picture's edge falls into stay
    assert 220 <= image.height <= 228


def test_bars_beside_a_letterboxed_picture_are_cut():
    boxed = ImageOps.expand(ImageOps.expand(drawn(0), (0, 30), "black"), (50, 0), "white")
    assert trimmed(boxed).size == (300, 220)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 30), st.integers(0, 199), st.integers(0, 199))
def test_at_least_a_quarter_of_each_side_stays(width, height, thing, x, y):
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).rectangle((x % width, y % height, x % width + thing, y % height + thing), fill="red")
    cut = trimmed(image)
    assert cut.width >= KEPT * width
    assert cut.height >= KEPT * height


def test_a_small_thing_stays_in_view():
    for x, y in ((0, 0), (5, 180), (140, 100), (285, 185)):
        image = Image.new("RGB", (300, 200), "white")
        ImageDraw.Draw(image).rectangle((x, y, x + 14, y + 14), fill="red")
        cut = trimmed(image)
        assert cut.size == (75, 50)
        assert sum((np.asarray(cut) == (255, 0, 0)).all(2).ravel()) == 225


def test_a_blank_picture_has_no_border():
    blank = Image.new("RGB", (500, 300), "white")
    assert trimmed(blank) is blank


def in_colours(gray: np.ndarray, colours: tuple[float, float, float], seed: int) -> Image.Image:
    """A drawing in two colours' shades, with enough noise that gray levels alone hardly settle it."""
    noisy = np.clip(gray + np.random.default_rng(seed).normal(0, 14, gray.shape), 0, 255)
    return Image.fromarray(np.clip(noisy[..., None] * np.array(colours), 0, 255).astype(np.uint8))


def test_one_drawing_in_two_colours_is_no_copy_unless_its_gray_levels_say_so_clearly():
    gray = np.asarray(scene("letters", np.random.default_rng(3), (160, 120)).convert("L")).astype(float)
    warm, cold = (1.2, 0.9, 0.6), (0.5, 0.9, 1.4)
    first = describe(in_colours(gray, warm, 1))
    assert 1 <= compared(first, describe(in_colours(gray, warm, 2))).score < 1.1
    assert not copies(first, describe(in_colours(gray, cold, 2)))
    photo = drawn(RICH[0])
    recoloured = Image.merge("RGB", photo.split()[::-1])
    assert copies(describe(photo), describe(recoloured))


@pytest.mark.parametrize("size", [(3100, 120), (120, 3100), (600, 20)])
def test_a_strip_that_was_compressed_and_shrunk_is_a_copy(size):
    strip, other = (soft_strip(seed, size) for seed in range(2))
    assert compared(describe(strip), describe(shrunk_jpeg(strip))).verdict == "copy"
    assert compared(describe(strip), describe(other)).verdict != "copy"


def soft_strip(seed: int, size: tuple[int, int]) -> Image.Image:
    wide, high = (max(2, side // 20) for side in size)
    patches = np.random.default_rng(seed).integers(0, 256, (high, wide, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


def shrunk_jpeg(image: Image.Image) -> Image.Image:
    sink = io.BytesIO()
    image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS).save(sink, "JPEG", quality=90)
    return Image.open(sink).convert("RGB")
