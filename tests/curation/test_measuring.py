import numpy as np
import pyarrow as pa
import pytest
from conftest import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from curation.embedders.descriptor import SIDE, DescriptorEmbedder
from curation.measuring import measure_image
from curation.params import QualityParams
from curation.rules import DEFAULT_RULES, Blurry, Dark, TooSmall
from curation.signals import signals
from curation.stages import quality
from shared.contracts import MEASUREMENTS


def measured(*files: bytes) -> pa.Table:
    return pa.Table.from_pylist([measure_image(file, DescriptorEmbedder()) for file in files], MEASUREMENTS.schema)


def test_the_hash_is_the_one_of_imagededup(tmp_path):
    from imagededup.methods import PHash

    path = tmp_path / "a.png"
    picture(5).save(path)
    (row,) = measured(path.read_bytes()).to_pylist()
    assert row["phash"].hex() == PHash(verbose=False).encode_image(image_file=str(path))


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


def test_turned_and_mirrored_images_are_permutations_of_the_descriptor():
    embedder, image = DescriptorEmbedder(), picture(7, (96, 96))
    turned = [
        image,
        *(image.transpose(t) for t in Image.Transpose),
    ]
    base = embedder.embed(image)
    for other in turned:
        vector = embedder.embed(other)
        assert max(float(vector[turn] @ base) for turn in embedder.orientations()) > 0.999
    assert {tuple(t) for t in embedder.orientations()} >= {tuple(range(SIDE * SIDE))}
    assert len({tuple(t) for t in embedder.orientations()}) == 8


def test_a_flat_image_has_no_direction():
    assert not DescriptorEmbedder().embed(Image.new("RGB", (50, 50), "teal")).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_signals_are_absolute_and_in_range(seed, scale):
    found = signals(picture(seed, (40 * scale, 30 * scale)))
    assert found["aspect"] == pytest.approx(0.75)
    for name, top in (("luma_p5", 1), ("luma_p99", 1), ("entropy", 8), ("sharpness", 1), ("detail", 128)):
        assert 0 <= found[name] <= top


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
