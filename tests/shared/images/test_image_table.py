"""One table of images, two who read it: curation's source and evaluation's set see the same pictures and labels."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture

from curation.sources import FolderSource, HuggingFaceSource, ParquetSource
from curation.sources.reading import UnreadableError, read_bytes
from shared.errors import RecipeError, SourceError
from training.data.published_images import UNLABELLED
from training.eval.sets import FolderSet, HuggingFaceSet, files
from training.eval.sets.labelled import Labelled

JPEGS = [encoded(picture(i, (40, 30))) for i in range(12)]
NUMBERS = [i % 2 for i in range(12)]
FORMS = ("parquet", "stream", "file")
Read = list[tuple[bytes, str | None]]


def meta(*names: str) -> str:
    return json.dumps({"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}})


def table(labels: list[Any], metadata: str | None = None, images: pa.Array | None = None) -> pa.Table:
    made = pa.table({"image": pa.array(JPEGS, pa.binary()) if images is None else images, "label": labels})
    return made if metadata is None else made.replace_schema_metadata({"huggingface": metadata})


def written(folder: Path, made: pa.Table, form: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if form == "parquet":
        pq.write_table(made, folder / "data.parquet", row_group_size=5)
        return folder
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    with {"stream": pa.ipc.new_stream, "file": pa.ipc.new_file}[form](folder / "data.arrow", made.schema) as sink:
        sink.write_table(made, max_chunksize=5)
    return folder


def curated(folder: Path) -> Read:
    """What curation reads."""
    source = (ParquetSource if list(folder.glob("*.parquet")) else HuggingFaceSource)(url=str(folder))
    listed = pa.concat_tables(source.tables(100))
    return list(zip(read_bytes(listed), listed["label"].to_pylist(), strict=True))


def pairs(opened: Labelled) -> Read:
    words = [None if code == UNLABELLED else opened.classes[code] for code in opened.label]
    return [(opened.images.data(row), word) for row, word in enumerate(words)]


@pytest.fixture(autouse=True)
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of twelve images may be none."""
    monkeypatch.setattr(files, "held_out", lambda digest: int(digest, 16) % 2 == 0)


ODD = {
    "words": (table(list("ab" * 6)), list("ab" * 6)),
    "numbers": (table(NUMBERS), [str(n) for n in NUMBERS]),
    "names": (table(NUMBERS, meta("cat", "dog")), ["cat", "dog"] * 6),
    "beyond the names": (table([*range(4)] * 3, meta("cat", "dog")), ["cat", "dog", "2", "3"] * 3),
    "no label": (table([0, 1, -1, None] * 3, meta("cat", "dog")), ["cat", "dog", None, None] * 3),
    "metadata that is no JSON": (table(NUMBERS, "{"), ["0", "1"] * 6),
    "metadata of another shape": (table(NUMBERS, '[{"info": 1}]'), ["0", "1"] * 6),
    "features of another shape": (table(NUMBERS, '{"info": {"features": ["label"]}}'), ["0", "1"] * 6),
    "names that are none": (table(NUMBERS, '{"info": {"features": {"label": {"names": "ab"}}}}'), ["0", "1"] * 6),
    "large binary": (table(list("ab" * 6), images=pa.array(JPEGS, pa.large_binary())), list("ab" * 6)),
    "struct": (table(list("ab" * 6), images=pa.array([{"bytes": b, "path": "x"} for b in JPEGS])), list("ab" * 6)),
    "two binary columns": (
        table(list("ab" * 6)).add_column(0, "thumb", [[b"small"] * 12]),
        list("ab" * 6),
    ),
    "a struct without bytes": (
        table(list("ab" * 6)).add_column(0, "box", [[{"bytes": "text", "x": 1}] * 12]),
        list("ab" * 6),
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ODD)
def test_curation_and_evaluation_read_the_same_of_an_odd_table(kind: str, form: str, tmp_path: Path) -> None:
    made, labels = ODD[kind]
    folder = written(tmp_path / "set", made, form)
    expected = list(zip(JPEGS, labels, strict=True))
    assert curated(folder) == expected
    assert pairs(HuggingFaceSet(url=str(folder)).opened(None)) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_a_cell_names_is_looked_for_beside_the_table_and_above(form: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    cells = [{"bytes": None, "path": f"images/{i}.jpg"} for i in range(11)]
    cells.append({"bytes": None, "path": str(tmp_path / "images/11.jpg")})
    for i, data in enumerate(JPEGS):
        (tmp_path / f"images/{i}.jpg").write_bytes(data)
    images = pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    folder = written(tmp_path / "data", table(list("ab" * 6), images=images), form)
    expected = list(zip(JPEGS, "ab" * 6, strict=True))
    assert curated(folder) == expected
    assert pairs(HuggingFaceSet(url=str(folder)).opened(None)) == expected


def test_where_curation_has_an_unreadable_row_evaluation_names_it(tmp_path: Path) -> None:
    folder = written(tmp_path, table(list("ab" * 6), images=pa.array([*JPEGS[:11], None], pa.binary())), "parquet")
    last, _ = curated(folder)[-1]
    assert isinstance(last, UnreadableError)
    with pytest.raises(RecipeError, match=rf"got row 11 of the dataset, in .*data.parquet: {last}. Mend or remove"):
        HuggingFaceSet(url=str(folder)).opened(None)


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_table_gives_curation_what_is_whole_and_evaluation_refuses_it(form: str, tmp_path: Path) -> None:
    folder = written(tmp_path, table(list("ab" * 6)), form)
    (file,) = folder.glob("data.*")
    file.write_bytes(file.read_bytes()[: -len(JPEGS[0]) * 4])
    read = curated(folder)
    assert isinstance(read[-1][0], UnreadableError)
    assert [data for data, _ in read[:-1]] == JPEGS[: len(read) - 1]
    with pytest.raises(RecipeError, match=r"needs tables that can be read whole, got .*data") as refused:
        HuggingFaceSet(url=str(folder)).opened(None)
    assert str(read[-1][0]) in str(refused.value)


def test_both_refuse_a_table_without_images_in_the_same_words(tmp_path: Path) -> None:
    folder = written(tmp_path, pa.table({"text": ["a"], "label": ["b"]}), "parquet")
    said = r"needs a column of image bytes in .*data.parquet, got text \(string\), label \(string\). Set `column` to"
    with pytest.raises(SourceError, match=f"^Source '{folder.name}' {said}"):
        curated(folder)
    with pytest.raises(SourceError, match=f"^A Hugging Face dataset {said}"):
        HuggingFaceSet(url=str(folder)).opened(None)


def test_one_definition_says_which_file_is_an_image(tmp_path: Path) -> None:
    names = ["a/1.jpg", "a/2.HEIC", "a/3", "a/4.photo", "b/5.jfif", "b/6.dds", "b/.7.jpg", ".c/8.jpg", "b/9.txt"]
    for name, data in zip(names, JPEGS, strict=False):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    listed = pa.concat_tables(FolderSource(url=str(tmp_path)).tables(100))
    names = [uri.removeprefix(f"{tmp_path}/") for uri in listed["uri"].to_pylist()]
    read = dict(zip(names, read_bytes(listed), strict=True))
    opened = FolderSet(url=str(tmp_path)).opened(None)
    assert sorted(read) == ["a/1.jpg", "a/2.HEIC", "a/3", "a/4.photo", "b/5.jfif", "b/6.dds"]
    assert {name: opened.images.data(row) for row, name in enumerate(opened.images.names)} == read
