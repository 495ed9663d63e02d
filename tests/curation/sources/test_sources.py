"""Folders, the choice of a source, the cutting of parts, and several sources together."""

import os
import sys
import tarfile
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture

from curation.index import list_sets, list_sources
from curation.params import IndexParams
from curation.params.copies import DecontaminateParams, EvaluationSet
from curation.sources import FolderSource, HuggingFaceSource, ListSource, ParquetSource, TarSource, source_at
from curation.sources.listing import IndexRow, cut
from curation.sources.notes import Notes
from curation.sources.outages import ChangedFileError
from curation.sources.ranges import MAX_BYTES
from curation.sources.reading import UnreadableError, read_bytes
from flows.recipe.recipe import load_recipe
from shared.catalog import IMAGES
from shared.errors import RecipeError, SourceError, WorkFailedError


def rows(source, part_images=10_000, notes=None):
    return pa.concat_tables(source.tables(part_images, notes))


def split_listing(items):
    """The tables of a listing, and what it says beside them."""
    items = list(items)
    return [item for item in items if not isinstance(item, dict)], [item for item in items if isinstance(item, dict)]


def test_a_folder_gives_every_file_that_may_be_an_image_and_its_parent_as_label(photos):
    root = photos(4)
    (root / "labels.csv").write_text("not an image")
    (root / "broken.jpg").write_bytes(b"not an image either")
    (root / ".thumbnails").mkdir()
    (root / ".thumbnails/0000.jpg").write_bytes(b"hidden")
    table = rows(FolderSource(url=str(root)))
    assert table.schema == IMAGES.schema
    assert table.num_rows == 5
    assert sorted(filter(None, table["label"].to_pylist())) == ["cats", "cats", "dogs", "dogs"]
    assert rows(FolderSource(url=f"{root}/", labels=False))["label"].null_count == 5


def test_bytes_come_back_as_they_are_in_the_file(photos):
    table = rows(FolderSource(url=str(photos(3))))
    for uri, data in zip(table["uri"].to_pylist(), read_bytes(table), strict=True):
        with open(uri, "rb") as file:
            assert data == file.read()


def test_a_vanished_or_shortened_file_is_an_error_in_its_place(photos):
    root = photos(4)
    table = rows(FolderSource(url=str(root)))
    (root / "dogs/0001.jpg").unlink()
    (root / "cats/0002.jpg").write_bytes(b"short")
    got = dict(zip(table["uri"].to_pylist(), read_bytes(table), strict=True))
    assert sum(isinstance(data, UnreadableError) for data in got.values()) == 2
    assert "FileNotFoundError" in str(got[str(root / "dogs/0001.jpg")])
    assert all(isinstance(data, ChangedFileError) for data in got.values() if isinstance(data, UnreadableError))
    assert "bytes, and has 5" in str(got[str(root / "cats/0002.jpg")])


def test_a_file_longer_than_any_image_is_not_read(tmp_path):
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    table = rows(FolderSource(url=str(tmp_path)))
    unknown = table.set_column(table.schema.get_field_index("length"), "length", pa.nulls(1, pa.int64()))
    for one in (table, unknown):
        assert "more than the limit" in str(next(read_bytes(one)))


def test_links_are_followed_once_and_dead_ones_are_rows(photos, tmp_path):
    root = photos(2)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/far.jpg").write_bytes(encoded(picture(9)))
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "far.jpg").symlink_to(tmp_path / "elsewhere/far.jpg")
    (root / "again").symlink_to(root / "cats")
    (root / "cats/loop").symlink_to(root)
    (root / "dead.jpg").symlink_to(root / "nowhere.jpg")
    os.mkfifo(root / "pipe")
    notes = Notes()
    inside = {uri[len(str(root)) + 1 :] for uri in rows(FolderSource(url=str(root)), notes=notes)["uri"].to_pylist()}
    assert inside == {"cats/0000.jpg", "dogs/0001.jpg", "dead.jpg"}
    assert sorted((why, tally.count) for (why, _), tally in notes.passed.items()) == [
        ("link", 1),
        ("link", 1),
        ("special", 1),
    ]
    table = rows(FolderSource(url=str(root), follow_links=True))
    got = dict(zip([uri[len(str(root)) + 1 :] for uri in table["uri"].to_pylist()], read_bytes(table), strict=True))
    assert set(got) == {"cats/0000.jpg", "dogs/0001.jpg", "far.jpg", "linked/far.jpg", "dead.jpg"}
    assert isinstance(got["dead.jpg"], UnreadableError)
    assert got["linked/far.jpg"] == encoded(picture(9))


def test_a_name_that_is_not_utf8_is_read_and_is_never_that_of_another_file(tmp_path):
    for i, name in enumerate((b"caf\xe9.jpg", b"caf\\xe9.jpg", b"caf%E9.jpg")):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write(encoded(picture(i)))
    table = rows(FolderSource(url=str(tmp_path)))
    read = dict(zip(table["uri"].to_pylist(), read_bytes(table), strict=True))
    assert read == {
        f"file://{tmp_path}/caf%E9.jpg": encoded(picture(0)),
        f"{tmp_path}/caf\\xe9.jpg": encoded(picture(1)),
        f"{tmp_path}/caf%E9.jpg": encoded(picture(2)),
    }


def test_a_folder_that_may_not_be_listed_is_a_row(photos, monkeypatch):
    root, scandir = photos(4), os.scandir

    def scan(folder):
        if str(folder).endswith("/dogs"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scan)
    table = rows(FolderSource(url=str(root)))
    told = dict(zip(table["uri"].to_pylist(), read_bytes(table), strict=True))
    assert str(told[f"{root}/dogs/"]) == "the folder cannot be listed: Permission denied"
    assert len(told) == 3
    with pytest.raises(SourceError, match=r"holds none: .*the folder cannot be listed"):
        rows(FolderSource(url=f"{root}/dogs"))


def test_a_store_that_cannot_be_listed_is_a_mistake_and_an_outage_is_no_bad_image(photos, monkeypatch):
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe_file("/outage/1.jpg", encoded(picture(1)))
    table = rows(FolderSource(url="memory://outage"))
    monkeypatch.setattr("curation.sources.opened.PAUSES", (0.001, 0.001))

    def fail(error):
        return lambda *args, **how: (_ for _ in ()).throw(error)

    for error in (ConnectionError("gone"), TimeoutError("slow"), OSError(16, "slow down"), RuntimeError("no endpoint")):
        monkeypatch.setattr(type(store), "cat_file", fail(error))
        with pytest.raises(WorkFailedError, match="needs a disk or store that answers"):
            list(read_bytes(table))
    monkeypatch.setattr(type(store), "cat_file", fail(PermissionError("forbidden")))
    assert isinstance(next(read_bytes(table)), UnreadableError)
    monkeypatch.setattr(type(store), "find", fail(PermissionError("forbidden")))
    with pytest.raises(SourceError, match="needs a place that can be listed, but: forbidden"):
        rows(FolderSource(url="memory://outage"))


@pytest.mark.parametrize("module", ["httpx", "botocore.exceptions"])
def test_a_store_that_nobody_answers_for_is_a_mistake_whatever_its_client_raises(module, monkeypatch):
    import fsspec

    silence = type("Silence", (Exception,), {})
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(HTTPError=silence, BotoCoreError=silence))
    store = fsspec.filesystem("memory")
    store.pipe_file("/silent/1.jpg", encoded(picture(1)))

    def fail(*args, **how):
        raise silence("nobody there")

    monkeypatch.setattr(type(store), "exists", lambda *args, **how: False)  # what an outage is to some
    assert source_at("memory://silent").kind == "folder"
    monkeypatch.setattr(type(store), "info", fail)
    with pytest.raises(WorkFailedError, match="The source memory://silent needs a place that answers, got Silence: no"):
        source_at("memory://silent")
    with pytest.raises(WorkFailedError, match="Source 'silent' needs a place that answers, got Silence: nobody there"):
        rows(FolderSource(url="memory://silent"))


def test_a_dead_link_in_a_list_is_a_bad_row(tmp_path):
    (tmp_path / "all.txt").write_text("http://127.0.0.1:9/a.jpg\n")
    pytest.importorskip("aiohttp")
    assert isinstance(next(read_bytes(rows(ListSource(url=f"{tmp_path}/all.txt")))), UnreadableError)


def test_appended_files_leave_earlier_parts_alone(photos):
    root = photos(200)
    before = [part["uri"].to_pylist() for part in FolderSource(url=str(root)).tables(20)]
    photos(20, first=200)
    after = [part["uri"].to_pylist() for part in FolderSource(url=str(root)).tables(20)]
    assert len(before) > 5
    assert after[: len(before) - 1] == before[:-1]


def listed(names):
    return [IndexRow(name, name, "") for name in names]


def test_a_removed_file_changes_its_own_part_and_few_others():
    images = listed(f"file-{i}" for i in range(2000))
    parts = {tuple(part) for part in cut(images, 100)}
    changed = {tuple(part) for part in cut(images[:900] + images[901:], 100)} - parts
    assert len(changed) <= 3


@pytest.mark.parametrize("count", [0, 1, 49, 50, 1000])
def test_parts_hold_every_row_once_and_keep_their_size(count):
    images = listed(str(i) for i in range(count))
    parts = list(cut(images, 50))
    assert [row for part in parts for row in part] == images
    assert all(25 <= len(part) <= 100 for part in parts[:-1])


def test_missing_empty_and_imageless_folders_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="does not exist"):
        source_at(str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="holds none"):
        rows(source_at(str(tmp_path / "empty")))
    (tmp_path / "empty/notes.txt").write_text("x")
    with pytest.raises(SourceError, match=r"holds none \(1 others were passed over: 1 × .txt\)"):
        rows(FolderSource(url=str(tmp_path / "empty")))
    with pytest.raises(SourceError, match=r"but .* does not exist"):
        rows(FolderSource(url=str(tmp_path / "nowhere")))
    for name in ("notes.docx", "movie.mp4", "photos.7z"):
        (tmp_path / name).write_text("x")
        with pytest.raises(SourceError, match=r"is no folder, and a file of a kind that is no image .* or one of .lis"):
            source_at(str(tmp_path / name))
        with pytest.raises(SourceError, match=r"is a file that is no image by its name .*say what it is with `kind`"):
            rows(FolderSource(url=str(tmp_path / name)))
    with pytest.raises(SourceError, match="needs a path or URL that can be opened"):
        source_at("nonsense://bucket")


def test_a_url_is_taken_for_what_a_person_would_take_it_for(tmp_path):
    def kind(*names):
        root = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"x")
        return source_at(str(root)).kind

    assert kind("a/1.jpg", "a/2.tar", "meta.parquet") == "folder"
    assert kind("a/1.tar", "b/2.tar", "README.md") == "tar"
    assert kind("train_0.tar.gz") == "tar"
    assert kind("shards/1.tar", "manifest/part.parquet") == "tar"
    assert kind("data/1.parquet", "README.md") == "parquet"
    assert kind("state.json", "dataset_info.json", "data-0.arrow") == "huggingface"
    assert kind("dataset_dict.json", "train/state.json") == "huggingface"
    for name, wanted in (
        ("1.txt", ListSource),
        ("1.lst", ListSource),
        ("1.tar", TarSource),
        ("1.parquet", ParquetSource),
    ):
        (tmp_path / name).write_text("x")
        assert isinstance(source_at(f"{tmp_path}/{name}"), wanted)
    assert isinstance(source_at(f"{tmp_path}/{{1,2}}.parquet"), ParquetSource)


def test_a_wrong_kind_or_key_is_told_with_what_is_allowed(tmp_path):
    def told(text):
        (tmp_path / "recipe.yaml").write_text(text)
        with pytest.raises(RecipeError) as caught:
            load_recipe(str(tmp_path / "recipe.yaml"))
        return str(caught.value)

    wrong = told("sources: [{kind: tarball, url: x}]")
    assert all(kind in wrong for kind in ("folder", "tar", "parquet", "huggingface", "open_images", "list"))
    assert "Did you mean 'label'" in told("sources: [{kind: tar, url: x, lable: folder}]")
    assert "got 'guess'" in told("sources: [{kind: tar, url: x, label: guess}]")
    assert "former name of label" in told("sources: [{kind: tar, url: x, labels: none, label: none}]")
    assert "give either url" in told("sources: [{kind: huggingface}]")
    sources = "[{kind: huggingface, dataset: a/b, split: train}, {kind: open_images, url: x, rotations: y.csv}]"
    (tmp_path / "recipe.yaml").write_text(f"sources: {sources}")
    assert [source.title for source in load_recipe(str(tmp_path / "recipe.yaml")).sources] == ["b", "x"]


def test_no_source_and_equal_names_are_refused(photos):
    root = str(photos(2))
    with pytest.raises(SourceError, match="at least one source"):
        list(list_sources(IndexParams()))
    twins = (FolderSource(url=f"{root}/cats"), FolderSource(url=f"{root}/dogs", name="cats"))
    with pytest.raises(SourceError, match=r"different names, got \['cats'\] twice"):
        list(list_sources(IndexParams(sources=twins)))
    with pytest.raises(SourceError, match="must not be the same"):
        list(list_sources(IndexParams(sources=twins[:1] * 2)))


def test_sources_of_one_name_are_told_apart_by_the_folders_above(tmp_path):
    for i, name in enumerate(("a/x/train", "b/x/train", "b/y/train", "val")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.jpg").write_bytes(encoded(picture(i)))
    sources = tuple(FolderSource(url=f"{tmp_path}/{name}") for name in ("a/x/train", "b/x/train", "b/y/train", "val"))
    tables, (facts,) = split_listing(list_sources(IndexParams(sources=sources)))
    names = [table["source"].to_pylist()[0] for table in tables]
    assert names == ["a/x/train", "b/x/train", "y/train", "val"]
    assert list(facts["sources"]) == names


def test_sources_that_share_a_file_are_refused_and_those_that_share_a_folder_are_not(photos, tmp_path):
    root = photos(4)
    for i in range(2):
        with tarfile.open(root / f"{i}.tar", "w") as tar:
            tar.add(root / "cats/0000.jpg", "image.jpg")
    (root / "list.txt").write_text("cats/0000.jpg\n")
    pq.write_table(pa.table({"image": pa.array([encoded(picture(7))], pa.binary())}), root / "a.parquet")
    folder, inner = FolderSource(url=str(root)), FolderSource(url=f"{root}/cats")
    tars, one, other = (TarSource(url=f"{root}{end}", name=f"t{end}") for end in ("", "/0.tar", "/1.tar"))
    table, listing = ParquetSource(url=str(root), name="table"), ListSource(url=f"{root}/list.txt")
    for sources in ((folder, inner), (inner, folder), (tars, one), (folder, listing), (inner, other, listing)):
        with pytest.raises(SourceError, match=r"must not overlap: .* is in .* and in "):
            list(list_sources(IndexParams(sources=sources)))
    parts, _ = split_listing(list_sources(IndexParams(sources=(folder, one, other, table))))
    assert sum(part.num_rows for part in parts) == 4 + 1 + 1 + 1


def test_evaluation_sets_are_listed_under_their_own_names(photos):
    root = photos(6)
    sets = tuple(
        EvaluationSet(name=name, source=FolderSource(url=f"{root}/{folder}"))
        for name, folder in (("val", "cats"), ("test", "dogs"))
    )
    tables, _ = split_listing(list_sets(DecontaminateParams(sets=sets)))
    assert [np.unique(table["source"].to_pylist()).tolist() for table in tables] == [["val"], ["test"]]
    assert list(list_sets(DecontaminateParams())) == []
    again = (*sets, EvaluationSet(name="all", source=FolderSource(url=str(root))))
    with pytest.raises(SourceError, match="must not overlap"):
        list(list_sets(DecontaminateParams(sets=again)))


def test_a_source_without_a_name_is_called_by_the_end_of_its_url():
    assert FolderSource(url="s3://bucket/birds/").title == "birds"
    assert HuggingFaceSource(dataset="ylecun/mnist").title == "mnist"
    assert TarSource(url="/x/shards-{000..010}.tar").title == "shards-{000..010}.tar"
    assert ListSource(url="/x/train.txt", name="web").title == "web"
