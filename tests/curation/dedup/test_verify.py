"""One description stands for all files with the same pixels: it is of those pixels, whichever file could be read."""

from collections import OrderedDict
from io import BytesIO

import pyarrow as pa
import pytest
from conftest import encoded, picture

from curation.dedup import verify
from curation.sources.outages import FilesChangedError
from shared.catalog import CANDIDATES, WHERE
from shared.images.decode import decode
from shared.images.ids import digest

SIZE = (160, 120)


@pytest.fixture(autouse=True)
def nothing_described(monkeypatch):
    monkeypatch.setattr(verify, "_RECENT", OrderedDict())


def written(path, number, **where):
    """A bitmap of a picture, whose length tells nothing of its content, and where it is listed."""
    sink = BytesIO()
    picture(number, SIZE).save(sink, "BMP")
    path.write_bytes(sink.getvalue())
    place = {"uri": str(path), "path": str(path), "reader": "range", "offset": 0, "length": len(sink.getvalue())}
    return place | ids(sink.getvalue()) | where


def ids(data):
    return {"image_id": digest(data), "pixels_id": decode(data).pixels_id()}


def candidates(*pairs):
    names = [*WHERE, "image_id", "pixels_id"]
    rows = [
        {name: one.get(name) for name in names} | {f"other_{name}": other.get(name) for name in names}
        for one, other in pairs
    ]
    return pa.Table.from_pylist(rows, CANDIDATES.schema)


@pytest.fixture
def smaller(tmp_path):
    (tmp_path / "x.jpg").write_bytes(data := encoded(picture(1, SIZE).resize((128, 96))))
    place = {"uri": "x", "path": str(tmp_path / "x.jpg"), "reader": "range", "offset": 0, "length": len(data)}
    return place | ids(data)


def test_a_file_that_holds_other_bytes_than_were_measured_describes_nothing(tmp_path, smaller):
    listed, same = written(tmp_path / "a.bmp", 1), written(tmp_path / "b.bmp", 1)
    written(tmp_path / "a.bmp", 2)
    with pytest.raises(FilesChangedError, match=r"a\.bmp changed meanwhile"):
        verify._compared(candidates((smaller, listed), (smaller, same)))
    assert not verify._RECENT
    compared, unreadable = verify._compared(candidates((smaller, same)))
    assert (compared[0].verdict, unreadable) == ("copy", [])


@pytest.mark.parametrize("before", [False, True])
def test_a_file_that_cannot_be_read_takes_none_of_its_pixels_with_it(tmp_path, smaller, before):
    same = written(tmp_path / "b.bmp", 1)
    cut = written(tmp_path / "a.bmp", 1, offset=10**6, length=100)
    if before:
        verify._compared(candidates((smaller, same)))
    compared, unreadable = verify._compared(candidates((smaller, cut), (smaller, same)))
    assert ({row: each.verdict for row, each in compared.items()}, unreadable) == ({0: "copy", 1: "copy"}, [])


def test_of_pixels_that_no_file_holds_any_more_nothing_is_said(tmp_path, smaller):
    cut = written(tmp_path / "a.bmp", 3, offset=10**6, length=100)
    assert verify._compared(candidates((smaller, cut))) == ({}, [0])
