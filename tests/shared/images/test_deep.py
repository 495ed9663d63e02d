"""The rule by which numbers of more than 8 bits become 8: white at 65,535 where it is reached, else the own range."""

import cv2
import numpy as np
import pytest
from conftest import encoded, picture
from PIL import Image

from curation.measure.contents import FileRead
from curation.measure.measure import measure_files
from curation.params import MeasureParams
from curation.quality import DEFAULT_RULES
from curation.quality.apply import judge
from shared.catalog import MEASUREMENTS
from shared.images.decode import decode
from training.data.decode import decoded
from training.params import CropParams

PHOTO = np.asarray(picture(3, (160, 120)).convert("L")).astype(np.float64)


def shown(array: np.ndarray, kind: str = "TIFF") -> np.ndarray:
    return np.asarray(decode(encoded(Image.fromarray(array), kind)).image).astype(int)


def reason(data: bytes) -> str | None:
    import pyarrow as pa

    ((row, *_),) = measure_files([FileRead(data)], MeasureParams())
    empty = dict.fromkeys(MEASUREMENTS.schema.names)
    table = pa.Table.from_pylist([empty | row], MEASUREMENTS.schema)
    return judge(table, DEFAULT_RULES)["reason"][0].as_py()


FEW_BITS = {
    "10 bits in 16": (PHOTO * 4).astype(np.uint16),
    "12 bits in 16": (PHOTO * 16).astype(np.uint16),
    "14 bits in 16": (PHOTO * 64).astype(np.uint16),
    "depth below 256 in 16": PHOTO.astype(np.uint16),
    "0 to 1": (PHOTO / 255).astype(np.float32),
    "-1 to 1": (PHOTO / 127.5 - 1).astype(np.float32),
    "0 to 4095": (PHOTO * 16).astype(np.float32),
    "millions": (PHOTO * 40_000).astype(np.int32),
    "metres around a mean": (PHOTO / 10 - 3000).astype(np.float32),
}


@pytest.mark.parametrize("kind", FEW_BITS)
def test_numbers_without_a_white_are_stretched_by_their_own_range_and_not_called_dark(kind):
    wanted = (PHOTO - PHOTO.min()) / np.ptp(PHOTO) * 255
    assert np.abs(shown(FEW_BITS[kind])[..., 0] - wanted).max() <= 16  # a thousandth of the numbers clip
    assert reason(encoded(Image.fromarray(FEW_BITS[kind]), "TIFF")) is None


@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_colours_of_few_bits_are_stretched_together(ending):
    photo = np.asarray(picture(3, (160, 120))).astype(np.uint16)
    done, data = cv2.imencode(ending, (photo * 16)[..., ::-1])
    assert done
    got = np.asarray(decode(data.tobytes()).image).astype(int)
    low, high = photo.min(), photo.max()
    assert np.abs(got - (photo.astype(int) - low) / (high - low) * 255).max() <= 16
    assert reason(data.tobytes()) is None


def test_a_hot_pixel_does_not_darken_a_scan():
    scan = FEW_BITS["12 bits in 16"].copy()
    scan[5, 5] = 65535
    assert np.abs(shown(scan) - shown(FEW_BITS["12 bits in 16"])).mean() < 1


def test_sixteen_bits_that_are_used_keep_their_white():
    deep = (PHOTO * 257 * 0.8).astype(np.uint16)
    assert deep.max() > 1 << 15
    assert np.array_equal(shown(deep)[..., 0], deep >> 8)


def test_an_8_bit_picture_in_16_bits_is_that_picture_however_dark():
    dark = (PHOTO / 8).astype(np.uint16)
    assert np.array_equal(shown(dark * 257)[..., 0], dark)
    assert reason(encoded(Image.fromarray(dark * 257), "PNG")) == "dark"


def test_png_tiff_and_pgm_give_the_same_pixels():
    for deep in (FEW_BITS["12 bits in 16"], (PHOTO * 250).astype(np.uint16)):
        pgm = b"P5 160 120 65535\n" + deep.astype(">u2").tobytes()
        assert np.array_equal(shown(deep, "PNG"), shown(deep))
        assert np.array_equal(np.asarray(decode(pgm).image), shown(deep))


def test_what_is_not_finite_is_black_and_changes_nothing_else():
    depth = FEW_BITS["0 to 1"].copy()
    depth[:2] = np.nan
    depth[2:4] = np.inf
    assert not shown(depth)[:4].any()
    assert np.abs(shown(depth)[4:] - shown(FEW_BITS["0 to 1"])[4:]).max() <= 16


@pytest.mark.parametrize("value", [0, 300, 70_000])
def test_one_number_everywhere_is_black(value):
    assert not shown(np.full((8, 8), value, np.int32)).any()


def test_alpha_of_deep_colours_keeps_its_own_end():
    deep = np.full((8, 8, 4), 1000, np.uint16)
    deep[:4, :, :3] = 3000
    deep[..., 3] = 65535
    deep[:, :2, 3] = 0
    done, data = cv2.imencode(".png", deep)
    assert done
    got = np.asarray(decode(data.tobytes()).image)
    assert got[0, 7].tolist() == [255] * 3
    assert got[7, 7].tolist() == [0] * 3
    assert got[7, 0].tolist() == [255] * 3  # clear lies on white


def test_training_and_evaluation_see_what_curation_measured(tmp_path):
    (tmp_path / "scan.png").write_bytes(encoded(Image.fromarray(FEW_BITS["12 bits in 16"]), "PNG"))
    data = (tmp_path / "scan.png").read_bytes()
    seen = np.asarray(decode(data).image)
    assert np.array_equal(decoded(data, 0, CropParams()), seen)


def test_numbers_are_worked_on_in_pieces_as_they_would_be_whole(monkeypatch):
    whole = [shown(array) for array in FEW_BITS.values()]
    monkeypatch.setattr("shared.images.deep.PIECE", 400)
    for array, before in zip(FEW_BITS.values(), whole, strict=True):
        assert np.array_equal(shown(array), before)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_numbers_are_turned_as_pixels_are(orientation, rotation):
    stored = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    upright = Image.fromarray(PHOTO.astype(np.uint8))
    kept = upright.transpose(Image.Transpose(stored[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[274] = orientation
    deep = Image.fromarray(np.asarray(kept).astype(np.uint16) * 257)
    shallow = decode(encoded(kept, "PNG", exif=exif), rotation)
    turned = decode(encoded(deep, "PNG", exif=exif), rotation)
    assert np.array_equal(np.asarray(turned.image), np.asarray(shallow.image))
    assert np.array_equal(np.asarray(turned.image), np.asarray(upright.rotate(rotation, expand=True).convert("RGB")))
