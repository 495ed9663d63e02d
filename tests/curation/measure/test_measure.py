import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from conftest import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

import shared.images.torchvision_cpu  # noqa: F401  imagededup imports torchvision

# isort: split
from imagededup.methods import AHash, DHash, PHash, WHash

from curation.measure.measure import measure_images
from curation.measure.quality_signals import SHARP_SIDE, reduced
from curation.params import MeasureParams, QualityParams
from curation.quality import DEFAULT_RULES, Blurry, Dark, TooSmall
from curation.stages import quality
from shared.catalog import IMAGES, MEASUREMENTS
from shared.images.picture import Picture

IMAGEDEDUPS = {"phash": PHash, "dhash": DHash, "ahash": AHash, "whash": WHash}


def measured(*files: bytes, rotation: int | None = None, **params: object) -> pa.Table:
    """Measure files by way of the disk."""
    with TemporaryDirectory() as folder:
        rows = []
        for i, data in enumerate(files):
            path = Path(folder, str(i))
            path.write_bytes(data)
            where = {"reader": "range", "path": str(path), "offset": 0, "length": len(data), "rotation": rotation}
            rows.append({"uri": str(path), **where})
        return MEASUREMENTS.check(
            measure_images(pa.Table.from_pylist(rows, IMAGES.schema), MeasureParams(**params)), "test"
        )


def imagededups(image: Image.Image, kind: str = "phash") -> bytes:
    """What imagededup says of the pixels."""
    return bytes.fromhex(IMAGEDEDUPS[kind](verbose=False).encode_image(image_array=np.asarray(image)))


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


@pytest.mark.parametrize("seed", range(12))
def test_the_hash_is_the_one_of_imagededup_bit_for_bit(seed, tmp_path):
    path = tmp_path / "a.png"
    picture(seed, (100 + 17 * seed, 90)).save(path)
    (row,) = measured(path.read_bytes()).to_pylist()
    assert row["phash"].hex() == PHash(verbose=False).encode_image(image_file=str(path))
    assert row["hashes"][:8] == row["phash"]


@pytest.mark.parametrize("kind", ["dhash", "ahash", "whash"])
def test_the_other_hashes_are_those_of_imagededup_and_borders_do_not_count_for_them(kind):
    for seed in range(4):
        plain = picture(seed, (100 + 17 * seed, 90))
        framed = ImageOps.expand(plain, 30, "white")
        one, other = measured(encoded(plain, "PNG"), encoded(framed, "PNG"), hash=kind).to_pylist()
        assert one["hashes"][:8] == imagededups(plain, kind)
        assert one["hashes"] == other["hashes"]
        assert one["phash"] == imagededups(plain)
        assert other["phash"] == imagededups(framed)


@pytest.mark.parametrize("kind", IMAGEDEDUPS)
def test_the_eight_hashes_are_those_of_the_turned_image_within_a_few_bits(kind):
    flips = (None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.ROTATE_180)
    for seed in range(8):
        image = picture(seed, (200, 140))
        hashes = measured(encoded(image, "PNG"), hash=kind)["hashes"][0].as_py()
        turned = [
            start.transpose(flip) if flip is not None else start
            for start in (image, image.transpose(Image.Transpose.TRANSPOSE))
            for flip in flips
        ]
        for place, other in enumerate(turned):
            assert distance(hashes[8 * place : 8 * place + 8], imagededups(other, kind)) <= 4, (seed, place)
        assert len({hashes[i : i + 8] for i in range(0, 64, 8)}) == 8


def test_borders_count_for_the_hash_of_the_whole_image_only():
    plain = picture(3, (160, 120))
    framed = ImageOps.expand(plain, 30, "white")
    one, other = measured(encoded(plain, "PNG"), encoded(framed, "PNG")).to_pylist()
    assert other["hashes"] == one["hashes"]
    assert other["vector"] == one["vector"]
    assert other["phash"] == imagededups(framed) != one["phash"]
    assert (other["width"], other["height"]) == (220, 180)


def test_the_rotation_of_the_source_is_part_of_the_decode():
    image = picture(4, (80, 60))
    (turned,) = measured(encoded(image, "PNG"), rotation=90).to_pylist()
    (upright,) = measured(encoded(image.transpose(Image.Transpose.ROTATE_90), "PNG")).to_pylist()
    assert (turned["width"], turned["height"]) == (60, 80)
    assert turned["image_id"] != upright["image_id"]
    same = ("pixels_id", "phash", "hashes", "vector", "detail")
    assert {name: turned[name] for name in same} == {name: upright[name] for name in same}


def test_rows_do_not_depend_on_which_images_come_before(monkeypatch):
    files = [encoded(picture(i)) for i in range(7)]
    files[2] = b"broken"
    whole = measured(*files)
    monkeypatch.setattr("curation.measure.measure.CHUNK", 3)
    monkeypatch.setattr("curation.measure.decoders.ALONE", 2)
    assert measured(*files).equals(whole)
    assert measured(*files[4:]).equals(whole.slice(4))
    assert whole["vector"].null_count == whole["hashes"].null_count == 1
    assert measured().num_rows == 0


def test_other_bytes_with_the_same_pixels_share_only_the_pixels_id():
    plain, other = measured(encoded(picture(1), "PNG"), encoded(picture(1), "PNG", compress_level=0)).to_pylist()
    assert plain["pixels_id"] == other["pixels_id"]
    assert plain["image_id"] != other["image_id"]


def test_equal_pixel_bytes_of_another_shape_are_another_image():
    tall, wide = (encoded(Image.new("RGB", size, "red"), "PNG") for size in ((10, 20), (20, 10)))
    first, second = measured(tall, wide).to_pylist()
    assert first["pixels_id"] != second["pixels_id"]


def test_a_broken_file_is_a_row_with_its_error():
    (row,) = measured(b"not an image").to_pylist()
    assert row["error"] == "no image format that Pillow knows"
    assert row["bytes"] == 12
    assert row["pixels_id"] is None
    assert row["vector"] is None
    assert row["hashes"] is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_signals_are_absolute_and_in_range(seed, scale):
    (found,) = measured(encoded(picture(seed, (40 * scale, 30 * scale)), "PNG")).to_pylist()
    assert found["aspect"] == pytest.approx(0.75)
    for name, top in (("luma_p5", 1), ("luma_p99", 1), ("entropy", 8), ("sharpness", 1), ("detail", 128)):
        assert 0 <= found[name] <= top


@pytest.mark.parametrize("size", [(65, 1), (600, 1), (640, 9), (1, 900), (30_000, 20), (128, 1)])
def test_rules_and_spacers_are_measured_at_the_size_that_pillow_makes_them(size):
    strip = picture(1, size)
    (row,) = measured(encoded(strip, "PNG")).to_pylist()
    assert all(np.isfinite(row[name]) for name in ("luma_p5", "luma_p99", "entropy", "sharpness", "detail"))
    strip.thumbnail((SHARP_SIDE, SHARP_SIDE))
    assert reduced(Picture(picture(1, size))).size == strip.size


def reasons(*images: Image.Image, rules=DEFAULT_RULES) -> list[str | None]:
    table = measured(*(encoded(image, "PNG") for image in images))
    return quality(table, params=QualityParams(rules=rules))["reason"].to_pylist()


def test_each_rule_drops_what_it_names_and_a_good_picture_passes():
    good = picture(3)
    cases = {
        "too_small": good.resize((20, 30)),
        "odd_aspect": picture(4, (300, 60)),
        "dark": good.point(lambda v: v // 5),
        "bright": good.point(lambda v: 250 + v // 64),
        "low_information": Image.new("RGB", (80, 80), (120, 130, 140)),
        "blurry": picture(3, (400, 300)).filter(ImageFilter.GaussianBlur(20)),
    }
    assert reasons(good) == [None]
    assert reasons(*cases.values()) == list(cases)


def test_the_first_rule_that_holds_is_the_reason_and_its_numbers_are_kept():
    tiny_and_dark = Image.new("RGB", (9, 9), "black")
    assert reasons(tiny_and_dark, rules=(Dark(), TooSmall())) == ["dark"]
    table = measured(encoded(tiny_and_dark, "PNG"))
    row = quality(table, params=QualityParams(rules=(TooSmall(threshold=10), Dark()))).to_pylist()[0]
    assert (row["reason"], row["value"], row["threshold"]) == ("too_small", 9, 10)


def test_no_rules_keep_everything_and_a_threshold_is_a_parameter():
    assert reasons(Image.new("RGB", (9, 9), "black"), rules=()) == [None]
    assert reasons(picture(3), rules=(Blurry(threshold=0.999),)) == ["blurry"]


def test_an_unreadable_image_breaks_no_rule():
    assert quality(measured(b""), params=QualityParams())["reason"].to_pylist() == [None]


def test_signals_do_not_depend_on_how_the_table_is_cut():
    whole = measured(*(encoded(picture(i)) for i in range(4)))
    alone = pa.concat_tables([measured(encoded(picture(i))) for i in range(4)])
    assert np.array_equal(whole["detail"].to_numpy(), alone["detail"].to_numpy())


def test_imagededup_is_imported_only_where_its_own_hashes_are_asked_for():
    code = "import sys, curation.measure.measure as m, curation.params as p; print('imagededup' in sys.modules)"
    quiet = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert quiet.stdout == "False\n"
