"""Parquet files and Hugging Face datasets."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture
from PIL import Image
from pydantic import ValidationError

from curation.sources import HuggingFaceSource, ParquetSource, source_at
from curation.sources.notes import Notes
from curation.sources.reading import UnreadableError, read_bytes
from shared.errors import SourceError

JPEGS = [encoded(picture(i)) for i in range(7)]
NAMES = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}


def rows(source, part_images=10_000):
    return pa.concat_tables(source.tables(part_images))


def hugging_face_table(numbers=(0, 1, 0, 1, 0, 1, None)):
    table = pa.table(
        {
            "image": [{"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(JPEGS)],
            "label": pa.array(numbers, pa.int64()),
        }
    )
    return table.replace_schema_metadata({"huggingface": json.dumps(NAMES)})


def pictures(data):
    return [np.asarray(Image.open(io.BytesIO(one))) for one in data]


@pytest.fixture
def parquet(tmp_path):
    (tmp_path / "data").mkdir()
    pq.write_table(hugging_face_table(), tmp_path / "data/train-00000.parquet", row_group_size=3)
    return tmp_path / "data"


def test_the_hugging_face_layout_is_read_with_its_class_names(parquet):
    table = rows(source_at(str(parquet)))
    assert table["label"].to_pylist() == ["cat", "dog", "cat", "dog", "cat", "dog", None]
    assert table["uri"][2].as_py() == f"{parquet}/train-00000.parquet#2"
    assert list(read_bytes(table)) == JPEGS
    assert list(read_bytes(table.take([6, 0, 4]))) == [JPEGS[6], JPEGS[0], JPEGS[4]]


def test_class_numbers_without_a_name_stay_numbers_and_minus_one_is_no_label(tmp_path):
    pq.write_table(hugging_face_table([0, 5, -1, 1, 0, 1, 0]), tmp_path / "odd.parquet")
    assert rows(ParquetSource(url=str(tmp_path)))["label"].to_pylist()[:4] == ["cat", "5", None, "dog"]
    broken = hugging_face_table().replace_schema_metadata({"huggingface": "{"})
    pq.write_table(broken, tmp_path / "odd.parquet")
    assert rows(ParquetSource(url=str(tmp_path)))["label"].to_pylist()[:2] == ["0", "1"]


def test_a_plain_binary_column_is_read(tmp_path):
    data = [encoded(picture(1)), None]
    pq.write_table(pa.table({"id": [1, 2], "jpeg": pa.array(data, pa.binary())}), tmp_path / "plain.parquet")
    got = list(read_bytes(rows(ParquetSource(url=str(tmp_path)))))
    assert got[0] == data[0]
    assert str(got[1]) == "the row holds no bytes"


def test_rows_in_any_order_read_each_row_group_once_for_many(tmp_path, monkeypatch):
    data = [str(i).encode() for i in range(2000)]
    pq.write_table(pa.table({"image": pa.array(data, pa.binary())}), tmp_path / "a.parquet", row_group_size=500)
    read, iter_batches = [], pq.ParquetFile.iter_batches

    def counted(self, *args, row_groups, **how):
        read.extend(row_groups)
        return iter_batches(self, *args, row_groups=row_groups, **how)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    table = rows(ParquetSource(url=str(tmp_path)))
    order = np.random.default_rng(0).permutation(2000)
    assert list(read_bytes(table.take(order))) == [data[i] for i in order]
    assert len(read) <= 4 * 8
    read.clear()
    assert list(read_bytes(table)) == data
    assert read == [0, 1, 2, 3]


def test_a_file_that_is_no_parquet_is_a_row_and_a_damaged_page_costs_its_rows(parquet):
    (parquet / "broken.parquet").write_bytes(b"PAR1 and no more")
    data = [bytes(100_000) for _ in range(6)]
    pq.write_table(pa.table({"image": pa.array(data, pa.binary())}), parquet / "page.parquet", row_group_size=2)
    page = bytearray((parquet / "page.parquet").read_bytes())
    middle = pq.ParquetFile(parquet / "page.parquet").metadata.row_group(1).column(0).data_page_offset
    page[middle : middle + 20] = b"\xff" * 20
    (parquet / "page.parquet").write_bytes(page)
    table = rows(ParquetSource(url=str(parquet)))
    got = dict(zip([uri.rpartition("/")[2] for uri in table["uri"].to_pylist()], read_bytes(table), strict=True))
    assert "not a Parquet file that can be read" in str(got["broken.parquet"])
    bad = [f"page.parquet#{i}" for i in range(6) if isinstance(got[f"page.parquet#{i}"], UnreadableError)]
    assert bad == ["page.parquet#2", "page.parquet#3"]
    assert got["train-00000.parquet#0"] == JPEGS[0]


def test_a_table_that_became_shorter_is_an_error_in_its_place(parquet):
    table = rows(ParquetSource(url=str(parquet)))
    pq.write_table(hugging_face_table().slice(0, 5), parquet / "train-00000.parquet")
    got = list(read_bytes(table))
    assert got[:5] == JPEGS[:5]
    assert str(got[5]) == "row 5 is not in the file any more"


@pytest.fixture
def made():
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_dict(
        {"image": [picture(i) for i in range(10)], "label": [i % 2 for i in range(10)]},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}),
    )


def test_what_datasets_writes_to_parquet_is_read(made, tmp_path):
    made.to_parquet(str(tmp_path / "set.parquet"))
    table = rows(source_at(str(tmp_path / "set.parquet")))
    assert table["label"].to_pylist() == ["a", "b"] * 5
    assert np.array_equal(pictures(read_bytes(table))[3], np.asarray(picture(3)))


def test_what_save_to_disk_wrote_is_read_in_the_order_of_the_dataset(made, tmp_path):
    shuffled = made.shuffle(seed=3).select(range(8))
    shuffled.save_to_disk(str(tmp_path / "saved"), num_shards=3)
    table = rows(source_at(str(tmp_path / "saved")))
    assert len(set(table["path"].to_pylist())) == 3
    assert table["label"].to_pylist() == ["ab"[i] for i in shuffled["label"]]
    for got, wanted in zip(pictures(read_bytes(table)), shuffled["image"], strict=True):
        assert np.array_equal(got, np.asarray(wanted))
    backwards = table.take(list(range(8))[::-1])
    assert list(read_bytes(backwards)) == list(read_bytes(table))[::-1]


def test_what_save_to_disk_wrote_may_be_in_an_object_store(made, tmp_path):
    import fsspec

    made.save_to_disk(str(tmp_path / "saved"))
    fsspec.filesystem("memory").put(str(tmp_path / "saved"), "/bucket/saved", recursive=True)
    here, there = rows(source_at(f"{tmp_path}/saved")), rows(source_at("memory://bucket/saved"))
    assert there["uri"][3].as_py() == "memory:///bucket/saved/data-00000-of-00001.arrow#3"
    assert list(read_bytes(there.take([4, 2, 9]))) == list(read_bytes(here.take([4, 2, 9])))


def test_a_dataset_dict_needs_a_split_where_there_are_several(made, tmp_path):
    import datasets

    splits = datasets.DatasetDict(train=made.select(range(6)), test=made.select(range(6, 10)))
    splits.save_to_disk(str(tmp_path / "splits"))
    url = str(tmp_path / "splits")
    assert rows(HuggingFaceSource(url=url, split="test")).num_rows == 4
    with pytest.raises(SourceError, match=r"needs a split, got none. Set `split` to one of: train, test"):
        rows(source_at(url))
    with pytest.raises(SourceError, match=r"got val\. Set `split`"):
        rows(HuggingFaceSource(url=url, split="val"))
    datasets.DatasetDict(train=made).save_to_disk(str(tmp_path / "one"))
    assert rows(source_at(str(tmp_path / "one"))).num_rows == 10


def test_a_dataset_by_name_is_read_from_the_cache_with_images_that_lie_beside_it(photos, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    root = photos(6)
    source = HuggingFaceSource(dataset=str(root), split="train")
    table = rows(source)
    assert source.title == "photos"
    assert set(table["reader"].to_pylist()) == {"arrow"}
    assert sorted(table["label"].to_pylist()) == ["cats"] * 3 + ["dogs"] * 3
    assert sorted(read_bytes(table)) == sorted(path.read_bytes() for path in root.rglob("*.jpg"))
    (root / "cats/0000.jpg").unlink()
    assert sum(isinstance(data, UnreadableError) for data in read_bytes(table)) == 1
    assert rows(HuggingFaceSource(dataset=str(root))).num_rows == 5  # the one split; changed files are another dataset


def test_a_dataset_of_parquet_files_is_read_by_name(parquet, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    table = rows(HuggingFaceSource(dataset=str(parquet)))
    assert table["label"].to_pylist() == ["cat", "dog", "cat", "dog", "cat", "dog", None]
    assert list(read_bytes(table)) == JPEGS
    short = [{"filename": table["path"][0].as_py()}] * 2
    monkeypatch.setattr(datasets.Dataset, "cache_files", property(lambda self: short))
    with pytest.raises(SourceError, match="needs Arrow files with the 7 rows"):
        rows(HuggingFaceSource(dataset=str(parquet)))


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_an_arrow_file_that_is_cut_gives_what_it_has_and_a_row_for_the_rest(tmp_path, kind):
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    table = hugging_face_table()
    with (pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file)(tmp_path / "data.arrow", table.schema) as sink:
        sink.write_table(table, max_chunksize=2)
    listed = rows(source_at(str(tmp_path)))
    assert list(read_bytes(listed)) == JPEGS
    whole = (tmp_path / "data.arrow").read_bytes()
    (tmp_path / "data.arrow").write_bytes(whole[: len(whole) // 2])
    got = list(read_bytes(listed))
    assert any(isinstance(data, UnreadableError) for data in got)
    assert len(got) == 7
    again = rows(HuggingFaceSource(url=str(tmp_path)))
    assert again["uri"][-1].as_py() == f"{tmp_path}/data.arrow"
    last = list(read_bytes(again))[-1]
    assert "an Arrow file that cannot be read" in str(last)


def test_sources_of_tables_that_cannot_be_read_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "empty").mkdir()
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "text.parquet")
    with pytest.raises(SourceError, match="needs a column of image bytes"):
        rows(ParquetSource(url=str(tmp_path / "text.parquet")))
    with pytest.raises(SourceError, match="needs Parquet files"):
        rows(ParquetSource(url=str(tmp_path / "empty")))
    with pytest.raises(SourceError, match="needs a folder written by save_to_disk"):
        rows(HuggingFaceSource(url=str(tmp_path / "empty")))
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [], "_indices_data_files": [{"filename": "x"}]}))
    with pytest.raises(SourceError, match="call flatten_indices"):
        rows(HuggingFaceSource(url=str(tmp_path)))
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": []}))
    with pytest.raises(SourceError, match="has no rows"):
        rows(HuggingFaceSource(url=str(tmp_path)))
    with pytest.raises(SourceError, match=r"needs the dataset .*nowhere"):
        rows(HuggingFaceSource(dataset=f"{tmp_path}/nowhere"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "give either url"),
        ({"url": "a", "dataset": "b"}, "give either url"),
        ({"url": "a", "revision": "main"}, "belong to dataset"),
        ({"dataset": "a", "split": "train[:10]"}, "one whole split"),
    ],
)
def test_a_hugging_face_source_has_one_place_and_one_split(given, told):
    with pytest.raises(ValidationError, match=told):
        HuggingFaceSource(**given)


STRUCTS = [{"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(JPEGS)]
SHAPES = {
    "dictionary": (pa.array(JPEGS).dictionary_encode(), "", JPEGS),
    "view": (pa.array(JPEGS, pa.binary_view()), "", JPEGS),
    "nested": (pa.array([{"image": one, "n": 1} for one in STRUCTS]), "sample.image", JPEGS),
    "bytes in a struct": (pa.array([{"photo": data} for data in JPEGS]), "sample.photo", JPEGS),
    "list of structs": (pa.array([STRUCTS[:2], [], STRUCTS[2:5], None, *([s] for s in STRUCTS[5:])]), "", JPEGS),
    "list of bytes": (pa.array([JPEGS[:3], JPEGS[3:4], JPEGS[4:], [], [], []], pa.list_(pa.binary())), "sample", JPEGS),
    "fixed list": (pa.array([JPEGS[i : i + 2] for i in range(6)], pa.list_(pa.binary(), 2)), "", None),
    "list in a struct": (pa.array([{"views": STRUCTS[:3]}, {"views": STRUCTS[3:]}, None]), "sample.views", JPEGS),
    "struct in a list": (pa.array([[{"image": one, "k": 0} for one in STRUCTS]]), "sample.image", JPEGS),
}


@pytest.mark.parametrize("form", ["parquet", "stream"])
@pytest.mark.parametrize("shape", SHAPES)
def test_images_inside_of_columns_are_read(shape, form, tmp_path):
    values, column, expected = SHAPES[shape]
    table = pa.table({"id": list(range(len(values))), "sample": values, "label": ["x"] * len(values)})
    if form == "parquet":
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
        sources = [ParquetSource(url=str(tmp_path), column=column) for column in {"", column}]
    else:
        (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "a.arrow"}]}))
        with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as sink:
            sink.write_table(table, max_chunksize=2)
        sources = [HuggingFaceSource(url=str(tmp_path), column=column) for column in {"", column}]
    expected = expected or [data for i in range(6) for data in JPEGS[i : i + 2]]
    for source in sources:
        listed = rows(source)
        assert list(read_bytes(listed)) == expected
        assert list(read_bytes(listed.take(list(range(len(listed)))[::-1]))) == expected[::-1]
        assert len(set(listed["uri"].to_pylist())) == len(expected)
        assert set(listed["label"].to_pylist()) == {"x"}


def test_a_column_whose_name_has_dots_and_brackets_is_meant_as_it_is_called(tmp_path):
    pq.write_table(pa.table({"a.b[0]": JPEGS[:2], "a": [{"c": b"x"}] * 2}), tmp_path / "a.parquet")
    assert list(read_bytes(rows(ParquetSource(url=str(tmp_path), column="a.b[0]")))) == JPEGS[:2]
    assert list(read_bytes(rows(ParquetSource(url=str(tmp_path), column="a.c")))) == [b"x"] * 2


def test_the_lengths_of_lists_are_listed_without_reading_an_image(tmp_path, monkeypatch):
    pq.write_table(pa.table({"images": [STRUCTS] * 4}), tmp_path / "a.parquet")
    read, iter_batches = [], pq.ParquetFile.iter_batches

    def counted(self, *args, columns, **how):
        read.extend(columns)
        return iter_batches(self, *args, columns=columns, **how)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    assert rows(ParquetSource(url=str(tmp_path))).num_rows == 28
    assert [name.rpartition(".")[2] for name in read] == ["path"]


def test_a_column_that_is_called_as_masks_are_is_left_to_the_others_and_taken_alone(tmp_path):
    pq.write_table(pa.table({"annotation": [b"mask"], "pixel_values": JPEGS[:1]}), tmp_path / "a.parquet")
    notes = Notes()
    listed = pa.concat_tables(ParquetSource(url=str(tmp_path)).tables(10, notes))
    assert list(read_bytes(listed)) == JPEGS[:1]
    assert notes.lines() == [
        "guessed: images are those of the column pixel_values (not annotation); `column` names another (1 images)"
    ]
    pq.write_table(pa.table({"mask": JPEGS[:1]}), tmp_path / "a.parquet")
    assert list(read_bytes(rows(ParquetSource(url=str(tmp_path))))) == JPEGS[:1]


def test_a_relative_path_in_a_cell_starts_from_the_table_and_never_from_where_one_stands(tmp_path, monkeypatch):
    for i, folder in enumerate(("set", "elsewhere")):
        (tmp_path / folder / "images").mkdir(parents=True)
        (tmp_path / folder / "images/a.jpg").write_bytes(JPEGS[i])
    pq.write_table(pa.table({"image": [{"bytes": None, "path": "images/a.jpg"}] * 2}), tmp_path / "set/a.parquet")
    monkeypatch.chdir(tmp_path / "elsewhere")
    table = rows(ParquetSource(url=f"{tmp_path}/set"))
    assert list(read_bytes(table)) == [JPEGS[0]] * 2
    (tmp_path / "set/images/a.jpg").unlink()
    assert all(isinstance(data, UnreadableError) for data in read_bytes(table))
