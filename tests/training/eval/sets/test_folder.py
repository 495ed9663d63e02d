import hashlib
from pathlib import Path

import numpy as np
import pytest
from conftest import encoded
from PIL import Image

from shared.dataset_version import held_out
from shared.errors import RecipeError
from tests.training.eval.sets.drawn import class_folders, draw
from training.eval.sets import FolderSet, files
from training.eval.sets.detect import set_at
from training.eval.sets.labelled import Labelled


def opened(root: Path) -> Labelled:
    return FolderSet(url=str(root)).opened(None)


def test_train_and_test_folders_are_the_two_splits(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 3)
    class_folders(tmp_path / "val", 2, first=50)
    found = opened(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert (len(found.bank), len(found.queries)) == (6, 4)
    assert [found.classes[code] for code in found.label[found.queries]] == ["cats", "cats", "dogs", "dogs"]
    assert found.split == "train and test folders"
    assert found.images.pixels(0).size == (48, 36)


def test_without_a_split_the_content_of_each_file_decides_and_names_do_not(tmp_path: Path) -> None:
    class_folders(tmp_path / "one", 40)
    one = opened(tmp_path / "one")
    for path in sorted((tmp_path / "one").rglob("*.jpg")):
        other = tmp_path / "two" / path.parent.name / f"{hash(path.name) % 9999}-{path.name}"
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(path.read_bytes())
    two = opened(tmp_path / "two")
    asked = [{found.images.pixels(row).tobytes() for row in found.queries} for found in (one, two)]
    assert asked[0] == asked[1]
    digests = [hashlib.blake2b(path.read_bytes(), digest_size=16) for path in (tmp_path / "one").rglob("*.jpg")]
    assert len(one.queries) == sum(held_out(digest.hexdigest()) for digest in digests)
    assert 0 < len(one.queries) < 20
    assert not set(one.bank) & set(one.queries)
    assert len(one.bank) + len(one.queries) == 80


def test_a_train_folder_alone_is_split_by_content_too(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 40)
    found = opened(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert "hash" in found.split


def test_what_lies_beside_train_and_test_is_left_out_and_said(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 3)
    class_folders(tmp_path / "test", 2, first=50)
    draw(tmp_path / "samples" / "one.jpg", 7)
    draw(tmp_path / "unlabeled" / "deep" / "two.jpg", 8)
    draw(tmp_path / "cover.jpg", 9)
    found = opened(tmp_path)
    assert (found.classes, len(found.bank), len(found.queries)) == (("cats", "dogs"), 6, 4)
    assert found.split == "train and test folders; left out: no split (1), samples (1), unlabeled (1)"


def test_with_a_test_folder_a_val_folder_is_neither_learnt_from_nor_asked(tmp_path: Path) -> None:
    for first, (split, count) in enumerate({"train": 3, "val": 5, "test": 2}.items()):
        class_folders(tmp_path / split, count, first=50 * first)
    found = opened(tmp_path)
    assert (len(found.bank), len(found.queries)) == (6, 4)
    assert found.split == "train and test folders; left out: val (10)"


def test_beside_a_train_folder_alone_nothing_counts_either(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 40)
    draw(tmp_path / "samples" / "one.jpg", 7)
    found = opened(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert found.split.endswith("hash of each file; left out: samples (1)")


def test_a_class_may_be_called_as_a_split(tmp_path: Path) -> None:
    class_folders(tmp_path, 20, ("bus", "train", "test"))
    assert opened(tmp_path).classes == ("bus", "test", "train")


def test_images_of_twelve_bits_and_of_floats_are_seen_with_all_their_levels(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 1)
    class_folders(tmp_path / "test", 1)
    ramp = np.linspace(0, 1, 64 * 48).reshape(48, 64)
    (tmp_path / "train" / "cats" / "twelve.png").write_bytes(
        encoded(Image.fromarray((ramp * 4095).astype(np.uint16)), "PNG")
    )
    (tmp_path / "train" / "cats" / "float.tif").write_bytes(encoded(Image.fromarray(ramp.astype(np.float32)), "TIFF"))
    images = opened(tmp_path).images
    for row in range(len(images)):
        pixels = np.asarray(images.pixels(row))
        assert pixels.max() > 200
        assert len(np.unique(pixels)) > 100


def test_images_without_class_folders_are_a_set_without_labels(tmp_path: Path) -> None:
    for number in range(3):
        draw(tmp_path / f"{number}.png", number, "PNG")
    (tmp_path / "notes.txt").write_text("no image")
    found = opened(tmp_path)
    assert (len(found.bank), found.has("labels"), found.has("images")) == (3, False, True)


def test_what_is_no_set_of_class_folders_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"needs a folder, got .*nowhere, where there is nothing"):
        opened(tmp_path / "nowhere")
    with pytest.raises(RecipeError, match=r"needs class folders with images, got no image. Give DIR/CLASS/IMAGE"):
        opened(tmp_path)
    class_folders(tmp_path / "strays", 2)
    draw(tmp_path / "strays" / "lost.jpg", 1)
    with pytest.raises(RecipeError, match=r"got 1 of 5 outside, such as lost.jpg"):
        opened(tmp_path / "strays")
    class_folders(tmp_path / "lacking" / "train", 2)
    class_folders(tmp_path / "lacking" / "test", 2, ("cats", "newts"))
    with pytest.raises(RecipeError, match=r"got 1 in the test split alone, such as newts"):
        opened(tmp_path / "lacking")
    monkeypatch.setattr(files, "held_out", lambda digest: False)
    class_folders(tmp_path / "few", 1)
    with pytest.raises(RecipeError, match=r"images to learn from and others to ask about, got 2 and 0 of them"):
        opened(tmp_path / "few")
    class_folders(tmp_path / "alone" / "train", 2, ("cats",))
    class_folders(tmp_path / "alone" / "test", 2, ("cats",))
    with pytest.raises(RecipeError, match="needs two classes to learn from at least, got cats alone"):
        opened(tmp_path / "alone")


def test_a_file_that_does_not_decode_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 2)
    class_folders(tmp_path / "test", 2)
    (tmp_path / "train" / "cats" / "000.jpg").write_bytes(b"\xff\xd8 no picture")
    found = opened(tmp_path)
    with pytest.raises(RecipeError, match=r"every image of its set to decode, got .*cats/000.jpg: .* Mend or remove"):
        [found.images.pixels(row) for row in range(len(found.images))]


def test_the_content_of_a_set_changes_with_its_files(tmp_path: Path) -> None:
    class_folders(tmp_path, 2)
    before = FolderSet(url=str(tmp_path)).content()
    assert FolderSet(url=str(tmp_path), name="pets").content() == before
    draw(tmp_path / "cats" / "new.jpg", 7)
    assert FolderSet(url=str(tmp_path)).content() != before


def test_a_path_is_enough_to_tell_the_kind_of_a_set(tmp_path: Path) -> None:
    class_folders(tmp_path / "folders", 1)
    draw(tmp_path / "copies" / "a.jpg", 1)
    (tmp_path / "copies" / "pairs.csv").write_text("a,b,relation\n")
    draw(tmp_path / "scenes" / "train" / "images" / "a.png", 1, "PNG")
    draw(tmp_path / "scenes" / "train" / "masks" / "a.png", 1, "PNG")
    (tmp_path / "parquet").mkdir()
    (tmp_path / "parquet" / "train-00000.parquet").write_text("")
    (tmp_path / "list.csv").write_text("path,label\n")
    (tmp_path / "masks.csv").write_text("image,mask,split\n")
    (tmp_path / "pairs.csv").write_text("a,b,relation\n")
    names = ("folders", "copies", "scenes", "parquet", "list.csv", "masks.csv", "pairs.csv")
    kinds = [set_at(str(tmp_path / name))["kind"] for name in names]
    assert kinds == ["folder", "copies", "masks", "huggingface", "manifest", "masks", "copies"]
    with pytest.raises(RecipeError, match=r"where there is nothing. Give a folder or a file"):
        set_at(str(tmp_path / "nowhere"))
    with pytest.raises(RecipeError, match=r"a folder, or a .csv or .parquet file, got the file .*a.jpg"):
        set_at(str(tmp_path / "copies" / "a.jpg"))
