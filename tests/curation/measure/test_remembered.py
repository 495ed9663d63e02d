"""A file is decoded once, however the listing around it changes."""

import os
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
from shared.stage_runner import run
from shared.storage import Store
from shared.tables import Rows


class Corpus:
    """A folder of images, its workspace, and how many decodes the last measuring took."""

    def __init__(self, folder: Path) -> None:
        self.images, self.store, self.decodes = folder / "images", Store(str(folder / "workspace")), 0

    def write(self, numbers: range, change: int = 0) -> None:
        for number in numbers:
            path = self.images / f"{number % 4}" / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(picture(number + change, (40, 30)), "PNG"))

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
    os.remove(corpus.images / "1" / "001.png")
    assert len(corpus.measured()) == 99
    assert corpus.decodes == 0


def test_what_measures_otherwise_remembers_nothing(corpus):
    corpus.measured()
    corpus.measured(params=MeasureParams(hash="dhash"))
    assert corpus.decodes == 100
