import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture
from PIL import Image

from curation.indexing import list_sources
from curation.params import IndexParams
from curation.sources import FolderSource, ParquetSource, source_at
from curation.sources.listing import cuts
from curation.sources.reading import UnreadableError, read_bytes
from shared.errors import SourceError


def rows(source, part_images=10_000):
    return pa.concat_tables(source.tables(part_images))


def test_a_folder_gives_every_file_that_may_be_an_image_and_its_parent_as_label(photos):
    root = photos(4)
    (root / "labels.csv").write_text("not an image")
    (root / "broken.jpg").write_bytes(b"not an image either")
    table = rows(FolderSource(url=str(root)))
    assert table.num_rows == 5
    assert sorted(filter(None, table["label"].to_pylist())) == ["cats", "cats", "dogs", "dogs"]


def test_bytes_come_back_as_they_are_in_the_file(photos):
    table = rows(FolderSource(url=str(photos(3))))
    for uri, data in zip(table["uri"].to_pylist(), read_bytes(table), strict=True):
        with open(uri, "rb") as file:
            assert data == file.read()


def test_a_vanished_file_is_an_error_in_its_place(photos):
    root = photos(3)
    table = rows(FolderSource(url=str(root)))
    (root / "dogs/0001.jpg").unlink()
    got = dict(zip(table["uri"].to_pylist(), read_bytes(table), strict=True))
    assert sum(isinstance(data, UnreadableError) for data in got.values()) == 1
    assert isinstance(got[str(root / "dogs/0001.jpg")], UnreadableError)


def test_appended_files_leave_earlier_parts_alone(photos):
    root = photos(200)
    before = [part["uri"].to_pylist() for part in FolderSource(url=str(root)).tables(20)]
    photos(20, first=200)
    after = [part["uri"].to_pylist() for part in FolderSource(url=str(root)).tables(20)]
    assert len(before) > 5
    assert after[: len(before) - 1] == before[:-1]


def test_a_removed_file_changes_its_own_part_and_few_others():
    uris = [f"file-{i}" for i in range(2000)]
    parts = {tuple(uris[a:b]) for a, b in cuts(uris, 100)}
    fewer = uris[:900] + uris[901:]
    changed = {tuple(fewer[a:b]) for a, b in cuts(fewer, 100)} - parts
    assert len(changed) <= 3


@pytest.mark.parametrize("count", [0, 1, 49, 50, 1000])
def test_parts_hold_every_row_once_and_keep_their_size(count):
    uris = [str(i) for i in range(count)]
    spans = list(cuts(uris, 50))
    assert [i for a, b in spans for i in range(a, b)] == list(range(count))
    assert all(25 <= b - a <= 100 for a, b in spans[:-1])


@pytest.fixture
def hugging_face_file(tmp_path):
    images = [encoded(picture(i)) for i in range(7)]
    table = pa.table(
        {
            "image": [{"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(images)],
            "label": pa.array([0, 1, 0, 1, 0, 1, None], pa.int64()),
        }
    )
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    (tmp_path / "data").mkdir()
    table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, tmp_path / "data/train-00000.parquet", row_group_size=3)
    return tmp_path / "data", images


def test_the_hugging_face_layout_is_read_with_its_class_names(hugging_face_file):
    folder, images = hugging_face_file
    table = rows(source_at(str(folder)))
    assert table["label"].to_pylist() == ["cat", "dog", "cat", "dog", "cat", "dog", None]
    assert list(read_bytes(table)) == images
    assert list(read_bytes(table.take([6, 0, 4]))) == [images[6], images[0], images[4]]


def test_what_hugging_face_datasets_writes_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict(
        {"image": [picture(i) for i in range(3)], "label": [1, 0, 1]},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}),
    )
    made.to_parquet(str(tmp_path / "set.parquet"))
    table = rows(source_at(str(tmp_path / "set.parquet")))
    assert table["label"].to_pylist() == ["b", "a", "b"]
    first = Image.open(io.BytesIO(next(iter(read_bytes(table)))))
    assert np.array_equal(np.asarray(first), np.asarray(picture(0)))


def test_a_plain_binary_column_is_read(tmp_path):
    data = [encoded(picture(1)), None]
    pq.write_table(pa.table({"id": [1, 2], "jpeg": pa.array(data, pa.binary())}), tmp_path / "plain.parquet")
    got = list(read_bytes(rows(ParquetSource(url=str(tmp_path)))))
    assert got[0] == data[0]
    assert isinstance(got[1], UnreadableError)


def test_missing_empty_and_imageless_sources_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="does not exist"):
        source_at(str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="holds none"):
        rows(FolderSource(url=str(tmp_path / "empty")))
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "text.parquet")
    with pytest.raises(SourceError, match="needs a column of image bytes"):
        rows(ParquetSource(url=str(tmp_path / "text.parquet")))
    with pytest.raises(SourceError, match=r"but .* does not exist"):
        rows(FolderSource(url=str(tmp_path / "nowhere")))
    with pytest.raises(SourceError, match="needs Parquet files"):
        rows(ParquetSource(url=str(tmp_path / "empty")))


def test_sources_that_overlap_or_share_a_name_are_refused(photos, tmp_path):
    root = str(photos(2))
    with pytest.raises(SourceError, match="at least one source"):
        list(list_sources(IndexParams()))
    inner = FolderSource(url=f"{root}/cats")
    with pytest.raises(SourceError, match="must not overlap"):
        list(list_sources(IndexParams(sources=(FolderSource(url=root), inner))))
    twin = FolderSource(url=f"{root}/dogs", name="cats")
    with pytest.raises(SourceError, match="different names"):
        list(list_sources(IndexParams(sources=(inner, twin))))
