"""A file is decoded once, however the listing around it changes."""

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import encoded, picture

from curation.measure import measure as measuring
from curation.params import IndexParams, MeasureParams
from curation.sources.folder import FolderSource
from curation.stages import index, measure
from shared.launch.executors import Inline
from shared.params import Params
from shared.stage_runner import memo, run
from shared.storage import Store
from shared.tables import Rows

DAMAGED = "has other bytes than were written: its rows are made again"


class Corpus:
    """A folder of images, its workspace, and how many decodes the last measuring took."""

    def __init__(self, folder: Path) -> None:
        self.images, self.store, self.decodes = folder / "images", Store(str(folder / "workspace")), 0

    def write(self, numbers: range, change: int = 0) -> None:
        for number in numbers:
            path = self.images / f"{number % 4}" / f"{number:03}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(picture(number + change, (40, 30))))

    def aliases(self) -> list[Path]:
        """Return the runs of what else measurements are called."""
        return sorted(Path(self.store.path(), "memory/measure").glob("*/*/aliases/*"))

    def measured(
        self, name: str = "", part_images: int = 16, params: Params | None = None
    ) -> dict[str, dict[str, object]]:
        self.decodes = 0
        sources = (FolderSource(url=str(self.images), name=name),)
        listed = run(
            index, IndexParams(sources=sources, part_images=part_images), (), store=self.store, executor=Inline()
        )
        output = run(measure, params or MeasureParams(), [listed], store=self.store, executor=Inline())
        uris = pa.concat_tables(Rows(self.store, listed).tables(["uri"]))["uri"].to_pylist()
        rows = pa.concat_tables(Rows(self.store, output).tables()).to_pylist()
        return dict(zip(uris, rows, strict=True))


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    corpus, decode = Corpus(tmp_path), measuring.decode

    def counted(*arguments):
        corpus.decodes += 1
        return decode(*arguments)

    monkeypatch.setattr(measuring, "decode", counted)
    corpus.write(range(100))
    return corpus


@pytest.fixture
def reads(monkeypatch) -> list[bytes]:
    """The files that are read, each time that one is."""
    read, plain = list[bytes](), measuring.read_bytes
    monkeypatch.setattr(measuring, "read_bytes", lambda images: (read.append(data) or data for data in plain(images)))
    return read


def test_new_and_changed_files_alone_are_decoded_and_the_table_is_as_if_made_at_once(corpus, tmp_path):
    corpus.measured()
    assert corpus.decodes == 100
    corpus.write(range(100, 103))
    corpus.write(range(7, 8), change=1000)
    grown = corpus.measured()
    assert corpus.decodes == 4
    corpus.store = Store(str(tmp_path / "another"))
    assert corpus.measured() == grown
    assert corpus.decodes == 103


def test_other_parts_another_name_and_files_that_are_gone_cost_no_decode(corpus):
    first = corpus.measured()
    assert corpus.measured(part_images=40) == first
    assert corpus.decodes == 0
    assert corpus.measured(name="renamed") == first
    assert corpus.decodes == 0
    os.remove(corpus.images / "1" / "001.jpg")
    assert len(corpus.measured()) == 99
    assert corpus.decodes == 0


def test_what_measures_otherwise_remembers_nothing(corpus):
    corpus.measured()
    corpus.measured(params=MeasureParams(hash="dhash"))
    assert corpus.decodes == 100


def moved(corpus: Corpus) -> None:
    """Rename a folder, move a file elsewhere, touch a file, copy two, one of them twice."""
    (corpus.images / "1").rename(corpus.images / "another")
    (corpus.images / "2/002.jpg").rename(corpus.images / "3/moved.jpg")
    os.utime(corpus.images / "0/000.jpg", (1, 1))
    for name in ("0/copy.jpg", "3/another copy.jpg"):
        shutil.copy(corpus.images / "0/004.jpg", corpus.images / name)
    shutil.copy(corpus.images / "2/006.jpg", corpus.images / "copy.jpg")


@pytest.mark.parametrize("url", ["{}/workspace", "memory://moved"])
def test_files_that_were_moved_touched_or_copied_are_read_once_and_not_decoded(corpus, tmp_path, url, reads):
    corpus.store = Store(url.format(tmp_path))
    before = corpus.measured()
    moved(corpus)
    reads.clear()
    after = corpus.measured()
    assert corpus.decodes == 0
    assert len(reads) == 25 + 1 + 1 + 3
    assert set(after) - set(before)
    corpus.measured(part_images=40)
    assert (corpus.decodes, len(reads)) == (0, 30)  # they are known by their files from now on
    corpus.store = Store(str(tmp_path / "fresh"))
    assert corpus.measured() == after


def test_bytes_that_changed_where_others_were_moved_are_decoded(corpus, tmp_path):
    corpus.measured()
    moved(corpus)
    corpus.write(range(8, 9), change=1000)
    corpus.write(range(1, 2), change=2000)
    after = corpus.measured()
    assert corpus.decodes == 2
    corpus.store = Store(str(tmp_path / "fresh"))
    assert corpus.measured() == after


def test_what_cannot_be_decoded_is_not_tried_again_elsewhere(corpus, tmp_path):
    (corpus.images / "1/broken.jpg").write_bytes(b"no picture")
    corpus.measured()
    moved(corpus)
    after = corpus.measured()
    assert corpus.decodes == 0
    assert after[str(corpus.images / "another/broken.jpg")]["error"]


def test_a_damaged_run_of_aliases_is_dropped_and_made_again(corpus, caplog, tmp_path):
    corpus.measured(part_images=1000)
    (aliases,) = corpus.aliases()
    data = aliases.read_bytes()
    aliases.write_bytes(data[:600] + b"damage" + data[606:])
    (corpus.images / "1").rename(corpus.images / "another")
    after = corpus.measured()
    assert corpus.decodes == 100
    assert caplog.messages == [f"{aliases.relative_to(corpus.store.path())} {DAMAGED}"]
    corpus.store = Store(str(tmp_path / "fresh"))
    assert corpus.measured() == after
    corpus.store = Store(str(tmp_path / "workspace"))
    (corpus.images / "another").rename(corpus.images / "a third")
    corpus.measured()
    assert corpus.decodes == 0


def forget_rows(corpus: Corpus, reads: list[bytes]) -> None:
    """Delete what was measured and what is remembered, but not what it is called."""
    for file in Path(corpus.store.path("memory/measure")).glob("*/*/*.run"):
        file.unlink()
    shutil.rmtree(corpus.store.path("stages/measure"))
    reads.clear()


def test_measurements_that_are_lost_are_made_again_though_their_contents_are_known(corpus, reads, tmp_path):
    first = corpus.measured()
    forget_rows(corpus, reads)
    assert corpus.measured() == first
    assert (corpus.decodes, len(reads)) == (100, 100)
    forget_rows(corpus, reads)
    (corpus.images / "1").rename(corpus.images / "another")
    after = corpus.measured()
    assert (corpus.decodes, len(reads)) == (100, 125)  # only what was moved and lost is read twice
    corpus.store = Store(str(tmp_path / "fresh"))
    assert corpus.measured() == after


def test_aliases_are_merged_as_what_they_lead_to_is(corpus, monkeypatch):
    monkeypatch.setattr(memo, "RUNS", 2)
    corpus.measured()
    assert len(corpus.aliases()) < len(list(Path(corpus.store.path("stages/measure")).glob("*.parquet")))
    moved(corpus)
    corpus.measured()
    assert corpus.decodes == 0
