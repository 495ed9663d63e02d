"""Equal bytes are one content, whatever file they lie in: looked up between the reading of a file and its decode."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import encoded, picture

from curation.measure import contents
from curation.measure import measure as measuring
from curation.measure.contents import Contents, FileRead, identified
from curation.measure.measure import measure_images, measure_unless_known
from curation.measure.remembered import SCHEMA, file_keys, measure_new_images
from curation.params import MeasureParams
from curation.sources.outages import FilesChangedError
from shared.catalog import IMAGES
from shared.launch.gpus import CORES
from shared.stage_runner import RowMemory
from shared.storage import Store


@pytest.fixture
def memory(tmp_path) -> RowMemory:
    return RowMemory(Store(str(tmp_path / "workspace")), "memory/measure", "measure")


@pytest.fixture
def decodes(monkeypatch) -> list[bytes]:
    """What was decoded."""
    decoded, decode = list[bytes](), measuring.decode
    monkeypatch.setattr(measuring, "decode", lambda data, turn: decoded.append(data) or decode(data, turn))
    return decoded


def listing(folder: Path, **columns: list[object]) -> pa.Table:
    """Return rows of IMAGES for files of one content."""
    (folder / "0").write_bytes(data := encoded(picture(0)))
    count = len(next(iter(columns.values())))
    path = {"path": [str(folder / "0")] * count, "uri": [str(i) for i in range(count)], "reader": ["range"] * count}
    rows = path | {"offset": [0] * count, "length": [len(data)] * count} | columns
    return pa.table({name: rows.get(name, [None] * count) for name in IMAGES.schema.names}).cast(IMAGES.schema)


def test_the_same_bytes_the_other_way_up_are_another_content(tmp_path, decodes, memory):
    measure_new_images(listing(tmp_path, rotation=[None]), MeasureParams(), memory)
    turned = listing(tmp_path, rotation=[90, None, 270], stamp=["new"] * 3)
    rows = measure_new_images(turned, MeasureParams(), memory)
    assert len(decodes) == 3
    assert rows.equals(measure_images(turned, MeasureParams()).cast(SCHEMA))
    measure_new_images(listing(tmp_path, rotation=[270, 90, None], stamp=["newer"] * 3), MeasureParams(), memory)
    assert len(decodes) == 3 + 3


def test_what_stands_under_the_key_of_its_file_is_found_there(tmp_path, decodes, memory):
    """Workspaces before there were contents."""
    images = listing(tmp_path, stamp=["a"])
    row = measure_images(images, MeasureParams()).cast(SCHEMA)
    memory.rows(SCHEMA).append(file_keys(images, "measure"), row)
    assert measure_new_images(images, MeasureParams(), memory).equals(row)
    assert len(decodes) == 1


def test_decoders_leave_out_what_is_known(tmp_path, monkeypatch, memory):
    (row,) = measure_new_images(listing(tmp_path, stamp=["a"]), MeasureParams(), memory).to_pylist()
    monkeypatch.setenv(CORES, "2")
    contents = Contents(memory.aliases(), "measure")
    images = listing(tmp_path, stamp=["b"] * 40)
    measured, found = measure_unless_known(images, [bytes(16)] * 40, MeasureParams(), contents)
    assert (measured.num_rows, {one.is_known for one in found}) == (0, {True})
    again = measure_new_images(listing(tmp_path, stamp=["b"] * 40), MeasureParams(), memory)
    assert again.to_pylist() == [row] * 40


@pytest.mark.parametrize(("runs", "most"), [({"m": [], "m/aliases": []}, 1), (None, 3)])
def test_few_files_wait_to_be_looked_up_and_none_where_nothing_is_known(tmp_path, monkeypatch, runs, most):
    monkeypatch.setattr(contents, "WAITING", 25)
    contents_known = Contents(RowMemory(Store(str(tmp_path)), "m", "", runs).aliases(), "")
    read: list[int] = []
    files = (read.append(i) or FileRead(bytes(10)) for i in range(20))
    ahead = [len(read) - i for i, _ in enumerate(identified(files, contents_known))]
    assert max(ahead) == most


def test_where_a_file_is_not_as_it_was_listed_nothing_is_remembered_of_the_others(tmp_path, memory):
    measure_new_images(listing(tmp_path, stamp=["a"]), MeasureParams(), memory)
    before = [memo.runs() for memo in memory.memos()]
    changed = listing(tmp_path, stamp=["b", "c"], length=[len(encoded(picture(0))), 1])
    with pytest.raises(FilesChangedError):
        measure_new_images(changed, MeasureParams(), memory)
    assert [memo.runs() for memo in memory.memos()] == before


def test_the_rows_of_one_archive_are_neighbours_wherever_its_bytes_lie_now(tmp_path, memory):
    ranges = {"offset": [0, 3], "length": [len(encoded(picture(0))), 9]}
    images = listing(tmp_path, **ranges)
    moved = listing(tmp_path, **ranges, path=[shutil.copy(tmp_path / "0", f"{tmp_path}/moved")] * 2)
    for listed in (images, moved):
        measure_new_images(listed, MeasureParams(), memory)
        stands = memory.aliases().resolved(file_keys(listed, "measure")).to_pylist()
        assert len(set(stands)) == 2
        assert {each[:4] for each in stands} == {each[:4] for each in file_keys(images, "measure").to_pylist()}
