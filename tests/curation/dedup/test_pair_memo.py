"""Verification remembers pairs by their pixels: what changes around them reads no pixel again."""

from collections import OrderedDict

import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture
from PIL import Image

from curation.dedup import candidate_parts, verify
from flows import pipeline
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store


@pytest.fixture
def photos(tmp_path):
    """Fifteen pictures, each with a smaller copy that is turned."""
    root = tmp_path / "photos"
    for i in range(15):
        image = picture(i, (160, 120))
        copy = image.resize((120, 90)).transpose(Image.Transpose.ROTATE_90)
        for name, data in ((f"a/{i}.jpg", encoded(image)), (f"b/{i}.jpg", encoded(copy))):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
    return root


def curated(root, workspace, part_images=16, **dedup):
    curation = {"index": {"part_images": part_images}, "dedup": dedup}
    sources = [{"kind": "folder", "url": str(root)}]
    session = Session(
        Recipe.model_validate({"sources": sources, "curation": curation}), Store(str(workspace)), Inline(), Silent()
    )
    return pipeline.made_version(session)[0]


def dropped(dataset):
    """Why each image was dropped, for what, and what lays it over that one."""
    tables = [pq.read_table(dataset.store.path(name)) for name in dataset.files("dropped")]
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted((row["uri"], row["reason"], row["value"], row["kept_uri"], row["orientation"]) for row in rows)


@pytest.fixture
def counted(monkeypatch):
    """The pairs whose pixels are compared, one number for each part."""
    pairs, described = [], verify._described
    monkeypatch.setattr(verify, "_described", lambda rows: pairs.append(rows.num_rows) or described(rows))
    return pairs


CHANGES = {
    "threshold": {"near": {"threshold": 1.05}},
    "detail": {"min_detail": 2.5},
    "keep": {"keep": ("pixels",)},
    "orientations": {"orientations": "mirrored"},
    "parts": {"part_images": 24},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_recipe_compares_no_pair_twice(change, photos, tmp_path, counted):
    curated(photos, tmp_path / "w")
    assert sum(counted) >= 15
    counted.clear()
    again = curated(photos, tmp_path / "w", **CHANGES[change])
    assert sum(counted) == 0
    fresh = dropped(curated(photos, tmp_path / "fresh", **CHANGES[change]))
    assert dropped(again) == fresh
    assert {"turned 90°", "turned 270°"} & {row[4] for row in fresh} or change == "orientations"


@pytest.mark.parametrize("keep", [("pixels",), ("bytes",), ("-bytes", "pixels")])
def test_whichever_of_several_copies_is_kept_no_other_pair_is_compared(keep, tmp_path, counted):
    root = tmp_path / "photos"
    for i in range(8):
        image = picture(i, (160, 120))
        copies = [image, image.resize((128, 96)), image.transpose(Image.Transpose.ROTATE_90), image.resize((96, 72))]
        for number, copy in enumerate(copies):
            (root / str(number)).mkdir(parents=True, exist_ok=True)
            (root / str(number) / f"{i}.jpg").write_bytes(encoded(copy, quality=90 - 20 * number))
    curated(root, tmp_path / "w")
    counted.clear()
    again = curated(root, tmp_path / "w", keep=keep)
    assert sum(counted) == 0
    assert len(dropped(again)) == 24


def test_moved_files_are_not_compared_again_and_a_new_one_with_its_neighbours_only(photos, tmp_path, counted):
    curated(photos, tmp_path / "w")
    everything = sum(counted)
    counted.clear()
    (photos / "b").rename(photos / "moved")
    moved = curated(photos, tmp_path / "w")
    assert sum(counted) == 0
    assert "moved" in dropped(moved)[-1][0]
    (photos / "new.jpg").write_bytes(encoded(picture(3, (140, 105))))
    grown = curated(photos, tmp_path / "w")
    assert 0 < sum(counted) < everything / 3
    assert dropped(grown) == dropped(curated(photos, tmp_path / "fresh"))


def test_an_image_of_several_parts_is_described_once_while_a_process_holds_it(photos, tmp_path, monkeypatch):
    (photos / "c").mkdir()
    for i in range(15):
        (photos / f"c/{i}.jpg").write_bytes(encoded(picture(i, (160, 120)).resize((128, 96))))
    monkeypatch.setattr(candidate_parts, "PART_PAIRS", 2)
    described, describe, results = list[int](), verify.describe, []
    monkeypatch.setattr(verify, "describe", lambda image: described.append(1) or describe(image))
    for held in (1000, 0):
        monkeypatch.setattr(verify, "RECENT", held)
        monkeypatch.setattr(verify, "_RECENT", OrderedDict())
        described.clear()
        results.append(dropped(curated(photos, tmp_path / str(held))))
        results.append(len(described))
        assert len(verify._RECENT) == min(held, len(described))
    (one, few), (other, many) = results[:2], results[2:]
    assert one == other
    assert few == 45 < many
