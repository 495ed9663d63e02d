"""What the usual layouts hold beside their images is no image; what only looks like them stays."""

from pathlib import Path

import pytest

from curation.sources import FolderSource, ParquetSource, TarSource
from shared.errors import SourceError
from tests.curation.sources.trees import Tree, found, mask, pack, photo, write

VOC = {
    **{f"JPEGImages/2007_{i:06d}.jpg": photo(i) for i in range(6)},
    **{f"SegmentationClass/2007_{i:06d}.png": mask(i) for i in range(4)},
    **{f"SegmentationObject/2007_{i:06d}.png": mask(i, 9) for i in range(4)},
    "ImageSets/Segmentation/train.txt": b"2007_000000",
    "Annotations/2007_000000.xml": b"<annotation/>",
}
CAMVID = {
    **{f"701_StillsRaw_full/0001TP_{i:06d}.png": photo(i) for i in range(4)},
    **{f"LabeledApproved_full/0001TP_{i:06d}_L.png": mask(i) for i in range(4)},
}
SEGNET = {
    **{f"{split}/{i:04d}.png": photo(i + 9 * (split == "test")) for split in ("train", "test") for i in range(4)},
    **{f"{split}annot/{i:04d}.png": mask(i) for split in ("train", "test") for i in range(4)},
}
CITYSCAPES = {
    **{f"leftImg8bit/train/aachen/aachen_{i:06d}_leftImg8bit.png": photo(i) for i in range(3)},
    **{f"gtFine/train/aachen/aachen_{i:06d}_gtFine_labelIds.png": mask(i) for i in range(3)},
}
ADE = {
    **{f"images/training/ADE_{i:08d}.jpg": photo(i) for i in range(3)},
    **{f"annotations/training/ADE_{i:08d}.png": mask(i) for i in range(3)},
}
BESIDE = {f"{i}{end}": data for i in range(3) for end, data in ((".jpg", photo(i)), ("_mask.png", mask(i)))}
DEPTH = {f"{i}{end}": photo(i + 9 * (end != ".jpg")) for i in range(3) for end in (".jpg", ".depth.png", ".left.jpg")}


@pytest.mark.parametrize(
    ("tree", "images", "masks"),
    [(VOC, 6, 8), (CAMVID, 4, 4), (SEGNET, 8, 8), (CITYSCAPES, 3, 3), (ADE, 3, 3), (BESIDE, 3, 3), (DEPTH, 6, 3)],
    ids=["voc", "camvid", "segnet", "cityscapes", "ade", "beside", "depth"],
)
@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
def test_masks_are_no_images(tree: Tree, images: int, masks: int, form: str, tmp_path: Path) -> None:
    place = write(tree, tmp_path / "set") if form == "folder" else pack(tree, tmp_path / f"set.{form}")
    listed = found(place, place)
    assert len(listed.labels) == images
    assert listed.passed["mask"] == masks
    assert not any("mask" in name or "egment" in name or "_L" in name or "annot" in name for name in listed.labels)


def test_a_class_called_mask_is_a_class(tmp_path: Path) -> None:
    tree = {f"{name}/{i}.png": photo(i + 50 * (name == "mask")) for name in ("mask", "no_mask") for i in range(5)}
    listed = found(write(tree, tmp_path), tmp_path)
    assert sorted(set(listed.labels.values())) == ["mask", "no_mask"]
    assert listed.passed == {}


def test_masks_without_images_of_their_names_are_images(tmp_path: Path) -> None:
    tree = {f"masks/{i}.png": mask(i) for i in range(4)} | {f"other/x{i}.jpg": photo(i) for i in range(4)}
    assert len(found(write(tree, tmp_path), tmp_path).labels) == 8


def test_whoever_wants_masks_says_so(tmp_path: Path) -> None:
    write(VOC, tmp_path)
    assert len(found(tmp_path, tmp_path, include=["*"]).labels) == 14
    only = found(tmp_path, tmp_path, include=["SegmentationClass"])
    assert (len(only.labels), only.passed) == (4, {"excluded": 12})


def test_a_raw_photo_stands_back_behind_its_developed_one(tmp_path: Path) -> None:
    tree = {name: photo(i) for i, name in enumerate(("DSC_1.NEF", "DSC_1.JPG", "dsc_2.dng", "DSC_2.heic", "lone.CR2"))}
    listed = found(write(tree, tmp_path), tmp_path)
    assert (sorted(listed.labels), listed.passed) == (["DSC_1.JPG", "DSC_2.heic", "lone.CR2"], {"raw": 2})


def test_unknown_endings_beside_an_image_are_sidecars_and_alone_may_be_images(tmp_path: Path) -> None:
    tree = {
        "a.jpg": photo(1),
        "a.words": b"x",
        "a.jpg.meta": b"x",
        "b.words": photo(2),
        "c": photo(3),
        "c.png": photo(4),
    }
    listed = found(write(tree, tmp_path), tmp_path)
    assert (sorted(listed.labels), listed.passed) == (["a.jpg", "b.words", "c", "c.png"], {"sidecar": 2})


def test_what_systems_leave_behind_is_counted_and_not_indexed(tmp_path: Path) -> None:
    tree = {
        "a.jpg": photo(1),
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg": photo(2),
        "__MACOSX/._a.jpg": b"x",
        ".git/config": b"x",
        ".git/HEAD": b"x",
        "sub/.DS_Store": b"x",
        "Thumbs.db": b"x",
        "b.jpg.part": photo(3),
        "c.crdownload": b"x",
        "more.zip": b"x",
        "shard.tar": b"x",
        "_SUCCESS": b"",
    }
    listed = found(FolderSource(url=str(write(tree, tmp_path))), tmp_path)
    assert list(listed.labels) == ["a.jpg"]
    assert listed.passed == {"system": 2, "hidden": 2, "name": 2, "unfinished": 2, "archive": 2}


def test_markers_of_folders_in_a_store_are_no_images() -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    for name, data in {"cat/1.jpg": photo(1), "cat/.x/2.jpg": b"x", ".y/3.jpg": b"x", ".y/4.jpg": b"x"}.items():
        store.pipe_file(f"/marked/{name}", data)
    store.store["/marked/cat/"] = store.store["/marked/cat/1.jpg"].__class__(store, "/marked/cat/", b"")
    listed = found(FolderSource(url="memory://marked"), Path("memory:///marked"))
    assert list(listed.table["uri"].to_pylist()) == ["memory:///marked/cat/1.jpg"]
    assert listed.passed == {"marker": 1, "hidden": 2}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("jpg", ["a/1.jpg", "b/2.JPG"]),
        (".seg.png", ["a/1.seg.png"]),
        ("png", ["a/1.seg.png", "b/3.png"]),
        ("a", ["a/1.jpg", "a/1.seg.png"]),
        ("a/*", ["a/1.jpg", "a/1.seg.png"]),
        ("?.*g", ["a/1.jpg", "a/1.seg.png", "b/2.JPG", "b/3.png"]),
        ("B/3.png", ["b/3.png"]),
        ("[12].jpg", ["a/1.jpg", "b/2.JPG"]),
        ("*/1*", ["a/1.jpg", "a/1.seg.png"]),
    ],
)
def test_a_pattern_means_endings_names_folders_or_paths(pattern: str, names: list[str], tmp_path: Path) -> None:
    tree = {name: photo(i) for i, name in enumerate(("a/1.jpg", "a/1.seg.png", "b/2.JPG", "b/3.png"))}
    write(tree, tmp_path)
    assert sorted(found(tmp_path, tmp_path, include=[pattern]).labels) == names
    rest = [name for name in tree if name not in names]
    if rest:
        without = found(tmp_path, tmp_path, exclude=[pattern])
        assert set(without.labels) == set(rest) - ({"a/1.seg.png"} if "a/1.jpg" in rest else set())
        assert without.passed["excluded"] == len(names)


def test_one_image_and_a_pattern_of_images_are_sources(tmp_path: Path) -> None:
    write({"a/1.jpg": photo(1), "a/2.jpg": photo(2), "b/3.png": photo(3), "b/x.txt": b"x"}, tmp_path)
    assert found(tmp_path / "a/1.jpg", tmp_path).labels == {"a/1.jpg": None}
    assert sorted(found(tmp_path / "a/*.jpg", tmp_path).labels) == ["a/1.jpg", "a/2.jpg"]
    listed = found(tmp_path / "{a,b}/*", tmp_path)
    assert listed.labels == {"a/1.jpg": "a", "a/2.jpg": "a", "b/3.png": "b"}
    assert listed.passed == {"name": 1}


@pytest.mark.parametrize(
    "name", ["odd {a,b}", "odd what?", "odd [1]", "odd *", "odd::colon", "odd #1", "a%20b", "x://y"]
)
def test_a_path_that_is_there_is_no_pattern_and_no_url(name: str, tmp_path: Path) -> None:
    write({"1.jpg": photo(1)}, tmp_path / name)
    assert list(found(tmp_path / name, tmp_path / name).labels) == ["1.jpg"]
    pack({"1.jpg": photo(1)}, tmp_path / f"{name}.tar")
    assert list(found(tmp_path / f"{name}.tar", tmp_path / f"{name}.tar").labels) == ["1.jpg"]


def test_a_table_without_images_among_others_is_passed_over(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [photo(1)], "label": ["a"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"img": [photo(2)], "label": ["b"]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"url": ["x"]}), tmp_path / "stats.parquet")
    (tmp_path / "README.md").write_text("x")
    listed = found(ParquetSource(url=str(tmp_path)), tmp_path)
    assert listed.labels == {"a.parquet#0": "a", "b.parquet#0": "b"}
    assert listed.passed == {"table": 1, "name": 1}


def test_links_to_shards_elsewhere_are_counted_and_followed_where_a_recipe_says_so(tmp_path: Path) -> None:
    pack({"1.jpg": photo(1)}, tmp_path / "store/1.tar")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/1.tar").symlink_to(tmp_path / "store/1.tar")
    with pytest.raises(SourceError, match=r"needs tars, but there are none .* \(1 others were passed over: 1 × .tar\)"):
        found(TarSource(url=f"{tmp_path}/set"), tmp_path)
    followed = found(TarSource(url=f"{tmp_path}/set", follow_links=True), tmp_path)
    assert list(followed.labels) == ["set/1.tar#1.jpg"]
