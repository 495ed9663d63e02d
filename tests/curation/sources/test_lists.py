"""Lists of files, and Open Images with its CSVs."""

import gzip
import io
import logging
import tarfile

import pyarrow as pa
import pytest
from conftest import encoded, picture

from curation.sources import ListSource, OpenImagesSource, source_at
from curation.sources.reading import UnreadableError, read_bytes
from shared.errors import SourceError


def rows(source, part_images=10_000):
    return pa.concat_tables(source.tables(part_images))


def test_a_list_gives_its_lines_in_order_with_labels_behind_tabs(photos, caplog):
    root = photos(4)
    lines = [
        "\ufeff# a comment",
        "",
        "cats/0000.jpg\tcat",
        f"{root}/dogs/0001.jpg",
        "./cats/0002.jpg\t",
        "cats/../cats/0000.jpg\tanother",
        f"file://{root}/dogs/0003.jpg\tdog",
        "cats/missing.jpg",
    ]
    (root / "some.txt").write_text("\r\n".join(lines))
    source = source_at(f"{root}/some.txt")
    assert isinstance(source, ListSource)
    with caplog.at_level(logging.WARNING):
        table = rows(source)
    assert "1 lines name an image that an earlier line names" in caplog.text
    files = ["cats/0000.jpg", "dogs/0001.jpg", "cats/0002.jpg", "dogs/0003.jpg", "cats/missing.jpg"]
    assert table["uri"].to_pylist() == [f"{root}/{name}" for name in files]
    assert table["label"].to_pylist() == ["cat", None, None, "dog", None]
    *got, missing = read_bytes(table)
    assert got == [(root / name).read_bytes() for name in files[:-1]]
    assert isinstance(missing, UnreadableError)
    by_folder = rows(ListSource(url=f"{root}/some.txt", labels="folder"))
    assert by_folder["label"].to_pylist() == ["cats", "dogs", "cats", "dogs", "cats"]
    assert rows(ListSource(url=f"{root}/some.txt", labels="none"))["label"].null_count == 5


def test_a_file_that_appears_or_changes_has_another_stamp(tmp_path):
    (tmp_path / "all.lst").write_text("a.jpg\nb.jpg\n")
    (tmp_path / "a.jpg").write_bytes(encoded(picture(1)))
    before = rows(ListSource(url=f"{tmp_path}/all.lst"))["stamp"].to_pylist()
    (tmp_path / "b.jpg").write_bytes(encoded(picture(2)))
    after = rows(ListSource(url=f"{tmp_path}/all.lst"))["stamp"].to_pylist()
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_a_file_that_could_not_be_read_has_another_stamp_once_its_permissions_are_mended(tmp_path):
    (tmp_path / "all.lst").write_text("a.jpg\n")
    image = tmp_path / "a.jpg"
    image.write_bytes(encoded(picture(1)))
    stamps = []
    for mode in (0o644, 0o000, 0o600, 0o644):
        image.chmod(mode)
        stamps += rows(ListSource(url=f"{tmp_path}/all.lst"))["stamp"].to_pylist()
    assert len({*stamps}) == 3
    assert stamps[0] == stamps[3]


def test_a_list_may_name_images_on_several_filesystems(tmp_path):
    import fsspec

    data = [encoded(picture(i)) for i in range(40)]
    store = fsspec.filesystem("memory")
    for i, one in enumerate(data):
        store.pipe_file(f"/listed/{i}.jpg", one)
    (tmp_path / "here.jpg").write_bytes(data[0])
    store.pipe_file("/listed/all.txt", "\n".join([*(f"{i}.jpg" for i in range(40)), "gone.jpg"]).encode())
    table = rows(source_at("memory://listed/all.txt"))
    assert list(read_bytes(table))[:40] == data
    assert isinstance(list(read_bytes(table))[40], UnreadableError)
    (tmp_path / "both.txt").write_text("here.jpg\nmemory://listed/1.jpg\n")
    table = rows(source_at(f"{tmp_path}/both.txt"))
    assert list(read_bytes(table)) == data[:2]
    unknown = table.set_column(table.schema.get_field_index("length"), "length", pa.nulls(2, pa.int64()))
    assert list(read_bytes(unknown)) == data[:2]


def test_lists_that_name_nothing_or_are_no_files_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    with pytest.raises(SourceError, match="needs a path or URL per line"):
        rows(ListSource(url=f"{tmp_path}/empty.txt"))
    with pytest.raises(SourceError, match="needs a text file"):
        rows(ListSource(url=f"{tmp_path}/nowhere.txt"))
    (tmp_path / "odd.txt").write_text("nonsense://a.jpg\n")
    with pytest.raises(SourceError, match="needs a path or URL that can be opened"):
        rows(ListSource(url=f"{tmp_path}/odd.txt"))


@pytest.fixture
def open_images(tmp_path):
    (tmp_path / "train").mkdir()
    for i, name in enumerate(("000a", "000b", "000c", "000d")):
        (tmp_path / f"train/{name}.jpg").write_bytes(encoded(picture(i)))
    (tmp_path / "labels.csv").write_text(
        "ImageID,Source,LabelName,Confidence\n"
        "000a,verification,/m/02,1\n"
        "000a,verification,/m/01,1\n"
        "000b,machine,/m/02,0.7\n"
        "elsewhere,machine,/m/09,1\n"
        "000b,machine,/m/03,0.9\n"
        "000c,verification,/m/01,0\n"
    )
    (tmp_path / "classes.csv").write_text('/m/01,Cat\n/m/02,"Dog, large"\n')
    (tmp_path / "rotation.csv").write_text(
        "ImageID,Subset,Title,Rotation\n"
        '000a,train,"two\nlines, quoted",90.0\n'
        "000b,train,x,0.0\n"
        "000c,train,y,\n"
        "elsewhere,train,y,180.0\n"
        "000d,train,y,270\n"
    )
    return tmp_path


def told(source):
    table = rows(source).select(["uri", "label", "rotation"]).to_pylist()
    return {row["uri"].rpartition("/")[2].rpartition("#")[2]: (row["label"], row["rotation"]) for row in table}


def test_open_images_has_its_best_label_and_its_rotation(open_images):
    source = OpenImagesSource(
        url=f"{open_images}/train",
        image_labels=f"{open_images}/labels.csv",
        class_descriptions=f"{open_images}/classes.csv",
        rotations=f"{open_images}/rotation.csv",
    )
    assert told(source) == {
        "000a.jpg": ("Cat", 90),
        "000b.jpg": ("/m/03", None),
        "000c.jpg": (None, None),
        "000d.jpg": (None, 270),
    }
    assert told(source.model_copy(update={"class_descriptions": ""}))["000a.jpg"] == ("/m/01", 90)
    assert told(OpenImagesSource(url=f"{open_images}/train"))["000a.jpg"] == (None, None)
    (open_images / "labels.csv.gz").write_bytes(gzip.compress((open_images / "labels.csv").read_bytes()))
    zipped = OpenImagesSource(url=f"{open_images}/train", image_labels=f"{open_images}/labels.csv.gz")
    assert told(zipped)["000b.jpg"] == ("/m/03", None)


def test_labels_that_come_in_many_blocks_are_merged(open_images, monkeypatch):
    lines = ["ImageID,LabelName,Confidence", *(f"000{'abcd'[i % 4]},/m/{i:04d},{(i * 37) % 997}" for i in range(997))]
    (open_images / "labels.csv").write_text("\n".join(lines))
    from pyarrow import csv

    read_options = csv.ReadOptions
    monkeypatch.setattr(csv, "ReadOptions", lambda block_size: read_options(block_size=500))
    best = told(OpenImagesSource(url=f"{open_images}/train", image_labels=f"{open_images}/labels.csv"))
    for k, name in enumerate("abcd"):
        assert best[f"000{name}.jpg"][0] == f"/m/{max(range(k, 997, 4), key=lambda i: (i * 37) % 997):04d}"


def test_open_images_in_tars_is_the_same_and_its_tar_gz_are_refused(open_images):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        tar.add(open_images / "train", "train_0")
    (open_images / "tars").mkdir()
    (open_images / "tars/train_0.tar").write_bytes(sink.getvalue())
    for url in (f"{open_images}/tars", f"{open_images}/tars/train_0.tar", f"{open_images}/tars/*.tar"):
        source = OpenImagesSource(
            url=url, image_labels=f"{open_images}/labels.csv", rotations=f"{open_images}/rotation.csv"
        )
        assert told(source)["000a.jpg"] == ("/m/01", 90)
        assert told(source)["000c.jpg"] == (None, None)
    (open_images / "tars/train_1.tar.gz").write_bytes(gzip.compress(sink.getvalue()))
    with pytest.raises(SourceError, match=r"train_1\.tar\.gz.*Decompress it first"):
        rows(OpenImagesSource(url=f"{open_images}/tars"))


@pytest.mark.parametrize("field", ["image_labels", "rotations", "class_descriptions"])
def test_csvs_that_are_missing_or_other_ones_are_refused(open_images, field):
    labels = {"image_labels": f"{open_images}/labels.csv"}
    with pytest.raises(SourceError, match=r"nowhere\.csv as Open Images publishes it"):
        rows(OpenImagesSource(url=f"{open_images}/train", **labels | {field: f"{open_images}/nowhere.csv"}))
    if field != "class_descriptions":
        with pytest.raises(SourceError, match=r"classes\.csv as Open Images publishes it"):
            rows(OpenImagesSource(url=f"{open_images}/train", **{field: f"{open_images}/classes.csv"}))


def test_a_rotation_by_another_angle_is_refused(open_images):
    (open_images / "rotation.csv").write_text("ImageID,Rotation\n000a,45\n")
    with pytest.raises(SourceError, match="000a has a rotation of 45, no multiple of 90"):
        rows(OpenImagesSource(url=f"{open_images}/train", rotations=f"{open_images}/rotation.csv"))
