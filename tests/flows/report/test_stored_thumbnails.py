"""The report of a dataset whose originals are gone still shows what was dropped, from what was measured."""

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import encoded, picture
from PIL import Image

from curation.publish.lineage import Lineage
from curation.publish.read_back import StoredThumbnail, originals_or_thumbnails
from curation.sources import FolderSource
from flows.pipeline import ReportRequest, draw_report
from flows.report.dataset.pictures import REMEMBERED
from flows.report.kit import thumbnails
from shared.catalog import IMAGES, MEASUREMENTS
from shared.dataset_version import Published
from shared.storage import Store
from shared.tables import Output, commit_part
from tests.looked_at import publish

DARK, MARK = "dark.jpg", "from the stored thumbnail; the original is not readable"


@pytest.fixture
def curated(tmp_path: Path) -> tuple[Path, Published]:
    """Kept pictures, a dropped one of each of two kinds, a broken one, and one of an evaluation set."""
    photos, tests = tmp_path / "photos", tmp_path / "tests"
    files = {f"{i}.jpg": encoded(picture(i)) for i in range(4)}
    files |= {
        DARK: encoded(picture(9).point(lambda level: level // 9)),
        "copy.jpg": encoded(picture(1).resize((96, 72))),
    }
    files |= {"seen.jpg": encoded(picture(5)), "half.jpg": encoded(picture(6))[:500]}
    for folder, some in ((photos, files), (tests, {"test.jpg": files["seen.jpg"]})):
        folder.mkdir()
        for name, data in some.items():
            (folder / name).write_bytes(data)
    sets = [{"name": "val", "source": FolderSource(url=str(tests)), "cap": 1}]
    dataset = publish(photos, tmp_path / "w", decontaminate={"sets": sets})
    return tmp_path, dataset


def frames(folder: Path, dataset: Published) -> dict[str, tuple[bool, bytes]]:
    """Draw the report again: by its name, whether a picture is marked as stored, and its JPEG."""
    dataset.store.delete("report.html")
    draw_report(ReportRequest(str(folder / "w"), dataset.name, dataset.version))
    html = dataset.store.read("report.html").decode()
    assert ("is marked as a stored thumbnail cannot be read" in html) == (MARK in html)
    shown = re.findall(
        r'<div class="frame( stored)?" title="([^",]*)(, [^"]*)?">(?:<img src="data:image/jpeg;base64,([^"]*)|no)', html
    )
    assert all((note == f", {MARK}") == bool(mark) for mark, _, note, _ in shown)
    return {Path(uri).name: (bool(mark), base64.b64decode(data)) for mark, uri, _, data in shown}


def without_originals(folder: Path, remembered: bool) -> None:
    for name in ("photos", "tests"):
        shutil.move(folder / name, folder / f"{name} elsewhere")
    if not remembered:
        shutil.rmtree(folder / "w" / REMEMBERED)


def test_what_was_dropped_is_shown_and_marked_where_the_originals_are_gone(curated, monkeypatch):
    folder, dataset = curated
    before = frames(folder, dataset)
    assert {name for name, (_, data) in before.items() if data} >= {DARK, "copy.jpg", "seen.jpg", "test.jpg", "1.jpg"}
    assert not any(mark for mark, _ in before.values())
    without_originals(folder, remembered=False)
    decoded: list[bytes] = []
    decode = thumbnails.decode
    monkeypatch.setattr(thumbnails, "decode", lambda data, rotation: decoded.append(data) or decode(data, rotation))
    after = frames(folder, dataset)
    assert {name: bool(data) for name, (_, data) in after.items()} == {
        name: bool(data) for name, (_, data) in before.items()
    }
    stored = {name for name, (mark, _) in after.items() if mark}
    assert stored == {DARK, "copy.jpg", "seen.jpg", "test.jpg"}
    assert len(decoded) == len(set(after) - stored), "only those in the shards"
    for name in stored:
        old, new = (Image.open(io.BytesIO(page[name][1])) for page in (before, after))
        assert old.size == new.size
        small = [np.asarray(each.resize((8, 8), Image.Resampling.BOX), np.int16) for each in (old, new)]
        assert np.abs(small[0] - small[1]).mean() < 8


def test_what_an_earlier_page_showed_is_shown_again_as_it_was(curated):
    folder, dataset = curated
    before = frames(folder, dataset)
    without_originals(folder, remembered=True)
    assert frames(folder, dataset) == before


def test_images_that_were_never_decoded_and_measurements_without_thumbnails_show_none(tmp_path):
    store, uris = Store(str(tmp_path)), ["/a.jpg", "/b.jpg"]
    listed = [{"uri": uri, "path": uri, "reader": "range", "offset": 0} for uri in uris]
    measured = [{"thumbnail": bytes(1152), "width": 4, "height": 3, "image_id": bytes(16)}, {"error": "no image"}]
    keys = {}
    for stage, contract, rows in (("index", IMAGES, listed), ("measure", MEASUREMENTS, measured)):
        table = contract.schema.empty_table().from_pylist(rows, contract.schema)
        parts = [commit_part(store, stage, table)]
        parts += [commit_part(store, stage, table.drop_columns(["thumbnail"] if stage == "measure" else []))]
        keys[stage] = Output(stage, stage, contract.aligned, tuple(parts)).seal(store, {"stage": stage}).key
    store.write("dataset.json", "{}")
    nothing_kept = Published(store, "none", "v0001")
    found = originals_or_thumbnails(nothing_kept, Lineage(store, keys), uris)
    assert found == {"/a.jpg": StoredThumbnail(bytes(16), bytes(1152), 4, 3, None)}
