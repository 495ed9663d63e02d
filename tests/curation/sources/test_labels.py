"""Where labels come from: what the usual layouts say by themselves, and what a recipe can say."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from curation.sources import FolderSource, ListSource, ParquetSource, TarSource
from tests.curation.sources.trees import Tree, found, pack, photo, write


def tree_of(*names: str) -> Tree:
    return {name: photo(i) for i, name in enumerate(names)}


FOLDERS = {
    "plain": (["cat/1.jpg", "dog/2.jpg", "3.jpg"], ["cat", "dog", None], {"folder"}),
    "splits": (["train/cat/1.jpg", "val/cat/2.jpg", "test/3.jpg"], ["cat", "cat", None], {"folder", "split"}),
    "a class called train": (["car/1.jpg", "train/2.jpg"], ["car", "train"], {"folder"}),
    "images below each class": (["cat/images/1.jpg", "dog/images/2.jpg"], ["cat", "dog"], {"folder", "wrapper"}),
    "images alone": (["images/1.jpg", "images/2.jpg"], [None, None], {"wrapper"}),
    "shards of img2dataset": (["00000/000000001.jpg", "00001/000010001.jpg"], [None, None], {"shard"}),
    "classes by number": (["00000/00000_00001.ppm", "00042/00000_00001.ppm"], ["00000", "00042"], {"folder"}),
    "digits": (["0/1.png", "1/2.png"], ["0", "1"], {"folder"}),
    "hive": (["label=cat/1.jpg", "split=a/label=wild%20dog/2.jpg"], ["cat", "wild dog"], {"hive"}),
    "homonyms": (
        ["animals/crane/1.jpg", "machines/crane/2.jpg", "animals/cat/3.jpg"],
        ["animals/crane", "machines/crane", "cat"],
        {"folder", "homonym"},
    ),
    "homonyms under splits": (
        ["train/a/x/1.jpg", "val/a/x/2.jpg", "train/b/x/3.jpg"],
        ["a/x", "a/x", "b/x"],
        {"folder", "homonym", "split"},
    ),
    "case": (["n02954340/Cap/1.jpg", "n02954938/cap/2.jpg"], ["Cap", "cap"], {"folder"}),
}


@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
@pytest.mark.parametrize("layout", FOLDERS)
def test_the_usual_layouts_of_folders_are_known(layout: str, form: str, tmp_path: Path) -> None:
    names, labels, guesses = FOLDERS[layout]
    tree = tree_of(*names)
    place = write(tree, tmp_path / "set") if form == "folder" else pack(tree, tmp_path / f"set.{form}")
    listed = found(place, place)
    assert listed.labels == dict(zip(names, labels, strict=True))
    assert listed.guessed == guesses


def test_metadata_beside_the_images_says_their_labels(tmp_path: Path) -> None:
    rows = [{"file_name": f"{i}.jpg", "label": "cat" if i % 2 else "dog", "text": "a"} for i in range(4)]
    tree = tree_of(*(f"train/{i}.jpg" for i in range(5)))
    tree["train/metadata.jsonl"] = "\n".join(map(json.dumps, rows)).encode() + b"\nno json\n"
    listed = found(write(tree, tmp_path), tmp_path)
    assert listed.labels == {f"train/{i}.jpg": ["dog", "cat"][i % 2] for i in range(4)} | {"train/4.jpg": None}
    by_column = found(tmp_path, tmp_path, label="metadata:text")
    assert set(by_column.labels.values()) == {"a", None}
    (tmp_path / "train/metadata.jsonl").unlink()
    (tmp_path / "metadata.csv").write_text("file_name,fine_label\ntrain/0.jpg,newt\n./train/1.jpg,eft\n")
    assert list(found(tmp_path, tmp_path).labels.items())[:2] == [("train/0.jpg", "newt"), ("train/1.jpg", "eft")]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("none", [None, None]),
        ("folder", ["x", None]),
        ("folder:1", ["x", None]),
        ("folder:2", ["b/x", None]),
        ("folder:path", ["a/b/x", None]),
        ("folder:top", ["a", None]),
        (r"regex:([a-z]+)_\d", ["newt", "eft"]),
        (r"regex:^(?P<label>[^/]+)/(b)", ["a", None]),
        ("sidecar:kind", ["K", None]),
    ],
)
def test_a_recipe_says_where_labels_are(label: str, expected: list[str | None], tmp_path: Path) -> None:
    tree = tree_of("a/b/x/newt_1.jpg", "eft_2.jpg") | {"a/b/x/newt_1.JSON": b'{"kind": "K", "label": "L"}'}
    listed = found(write(tree, tmp_path), tmp_path, label=label)
    assert [listed.labels[name] for name in ("a/b/x/newt_1.jpg", "eft_2.jpg")] == expected
    assert listed.guessed == set()


@pytest.mark.parametrize(
    "label", ["folders", "folder:0", "folder:x", "column", "column:", "regex:(", "regex:a", "none:a"]
)
def test_a_label_that_is_not_understood_lists_what_is(label: str) -> None:
    with pytest.raises(ValidationError, match=rf"label must be one of auto; none; .*got '{label.replace('(', '.')}'"):
        (ParquetSource if label.startswith("col") else FolderSource)(url="x", label=label)


def test_the_former_keys_are_still_read() -> None:
    assert FolderSource.model_validate({"url": "x", "labels": False}).label == "none"
    assert FolderSource.model_validate({"url": "x", "labels": True}).label == "auto"
    assert TarSource.model_validate({"url": "x", "labels": "archive"}).label == "archive"
    assert TarSource.model_validate({"url": "x", "label_key": "kind"}).label == "sidecar:kind"
    assert ParquetSource.model_validate({"url": "x", "label_column": "kind"}).label == "column:kind"
    assert ListSource.model_validate({"url": "x", "labels": "folder"}).label == "folder"


def test_sidecars_in_any_case_and_the_second_of_a_name_speak_of_their_own_image(tmp_path: Path) -> None:
    import io
    import tarfile

    members = [
        ("dir/base.jpg", photo(1)),
        ("dir/base.json", b'{"label": "one"}'),
        ("dir/base.jpg", photo(2)),
        ("dir/base.json", b'{"label": "two"}'),
        ("UPPER.JPEG", photo(3)),
        ("UPPER.CLS", b"u\n"),
    ]
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    listed = found(tmp_path / "a.tar", tmp_path / "a.tar")
    assert listed.labels == {"dir/base.jpg": "one", "dir/base.jpg~2": "two", "UPPER.JPEG": "u"}


def table(folder: Path, name: str = "a.parquet", metadata: Any = None, **columns: Any) -> Path:
    made = pa.table({"image": [photo(i) for i in range(4)], **columns})
    made = made.replace_schema_metadata({"huggingface": json.dumps(metadata)}) if metadata else made
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, folder / name)
    return folder


def labels(folder: Path, **options: Any) -> list[str | None]:
    return list(found(ParquetSource(url=str(folder)), folder, **options).labels.values())


def test_columns_and_folders_of_tables_say_labels(tmp_path: Path) -> None:
    assert labels(table(tmp_path / "fine", fine_label=[0, 1, 0, 1], coarse_label=[5, 5, 5, 5])) == ["0", "1", "0", "1"]
    folder = table(tmp_path / "both", label=["a", "b", "a", ""], kind=[1.5, 2.0, -1.0, None])
    assert labels(folder) == ["a", "b", "a", None]
    assert labels(folder, label="column:kind") == ["1.5", "2.0", None, None]
    assert labels(folder, label="column:absent") == [None] * 4
    assert labels(folder, label="none") == [None] * 4
    for name in ("cat", "dog"):
        table(tmp_path / "hive", f"label={name}/part-0.parquet")
    assert labels(tmp_path / "hive") == ["cat"] * 4 + ["dog"] * 4
    assert labels(tmp_path / "hive", label="regex:=(.)") == ["c"] * 4 + ["d"] * 4
    assert labels(table(tmp_path / "minus", label=[0, -1, 1, 0])) == ["0", None, "1", "0"]


@pytest.mark.parametrize(
    "values", [[[1, 2], [3], [], None], [{"bytes": b"x", "path": "m"}] * 4, [b"a", b"b", b"a", b"b"]], ids=str
)
def test_lists_structs_and_bytes_are_no_classes(values: list[Any], tmp_path: Path) -> None:
    listed = found(ParquetSource(url=str(table(tmp_path, label=values))), tmp_path)
    assert list(listed.labels.values()) == [None] * 4
    assert "unusable" in listed.guessed
