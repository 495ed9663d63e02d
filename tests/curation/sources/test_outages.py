"""An outage is tried again and then fails the work: it is never remembered as a fact about an image."""

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import encoded, picture

from curation.measure.measure import measure_images
from curation.params import MeasureParams
from curation.sources import FolderSource, ListSource
from curation.sources.outages import FilesChangedError
from curation.sources.reading import read_bytes
from shared.errors import UnreadableError, WorkFailedError

OUTAGES = ("EIO", "ESTALE", "ETIMEDOUT", "ECONNRESET", "EHOSTDOWN", "EMFILE", "ENODEV")


@pytest.fixture
def listed(photos, monkeypatch) -> pa.Table:
    """The listing of a folder of three images; no test waits for seconds."""
    monkeypatch.setattr("curation.sources.opened.PAUSES", (0.001, 0.001, 0.001))
    return pa.concat_tables(FolderSource(url=str(photos(3))).tables(100))


def failing(monkeypatch: pytest.MonkeyPatch, code: int, times: int) -> list[int]:
    """Let the first reads fail; return the list that counts them."""
    failed: list[int] = []
    pread = os.pread

    def read(*arguments):
        if len(failed) < times:
            failed.append(code)
            raise OSError(code, os.strerror(code))
        return pread(*arguments)

    monkeypatch.setattr(os, "pread", read)
    return failed


@pytest.mark.parametrize("name", OUTAGES)
def test_an_error_that_passes_leaves_no_trace(listed, monkeypatch, name):
    table = listed
    whole = list(read_bytes(table))
    failed = failing(monkeypatch, getattr(errno, name), times=3)
    assert list(read_bytes(table)) == whole
    assert len(failed) == 3


@pytest.mark.parametrize("name", OUTAGES)
def test_an_error_that_stays_fails_the_work_and_measures_nothing(listed, monkeypatch, name):
    table = listed
    failing(monkeypatch, getattr(errno, name), times=10_000)
    with pytest.raises(WorkFailedError, match=r"needs a disk or store that answers, got .*, 4 times"):
        measure_images(table, MeasureParams())


def test_a_stale_handle_is_opened_again(listed, monkeypatch):
    table = listed
    opened: list[str] = []
    plain = open

    def counting(path, *arguments, **how):
        opened.append(str(path))
        return plain(path, *arguments, **how)

    monkeypatch.setattr("builtins.open", counting)
    failing(monkeypatch, errno.ESTALE, times=1)
    list(read_bytes(table))
    assert opened.count(table["path"][0].as_py()) == 2


def test_a_file_that_is_gone_for_a_moment_is_read(listed, monkeypatch):
    table = listed
    victim = Path(table["path"][1].as_py())
    data = victim.read_bytes()
    victim.unlink()
    monkeypatch.setattr("time.sleep", lambda _: victim.write_bytes(data))
    assert list(read_bytes(table))[1] == data


def test_files_that_are_gone_or_of_another_size_stop_measuring_and_are_named(listed):
    table = listed
    gone, grown, _ = (Path(path) for path in table["path"].to_pylist())
    gone.unlink()
    grown.write_bytes(grown.read_bytes() + b"more")
    with pytest.raises(FilesChangedError) as error:
        measure_images(table, MeasureParams())
    assert set(error.value.files) == {str(gone), str(grown)}


@pytest.mark.parametrize("code", [errno.EACCES, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL])
def test_what_a_file_is_to_blame_for_is_a_row(listed, monkeypatch, code):
    table = listed
    failing(monkeypatch, code, times=1)
    rows = measure_images(table, MeasureParams()).to_pylist()
    assert [row["error"] is None for row in rows] == [False, True, True]


def test_a_list_may_name_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("curation.sources.opened.PAUSES", (0.001,))
    (tmp_path / "here.png").write_bytes(encoded(picture(1), "PNG"))
    (tmp_path / "files.txt").write_text("here.png\nnowhere.png\n")
    table = pa.concat_tables(ListSource(url=str(tmp_path / "files.txt")).tables(100))
    rows = measure_images(table, MeasureParams()).to_pylist()
    assert rows[0]["error"] is None
    assert "FileNotFoundError" in rows[1]["error"]


def test_what_is_only_to_be_shown_is_neither_waited_for_nor_an_outage(listed, monkeypatch):
    table = listed
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waited"))
    failing(monkeypatch, errno.EIO, times=1)
    shown = list(read_bytes(table, to_show=True))
    assert [isinstance(data, UnreadableError) for data in shown] == [True, False, False]
