"""Thumbnails outlast their page: those of the next version are mostly the same, and are not made again."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from curation.dedup.thumbnails import LENGTH
from curation.publish.read_back import Original, StoredThumbnail
from flows.plan.needed import memory_folders
from flows.report.dataset import pictures, remembered_thumbnails, samples
from flows.report.dataset.pictures import PagePicture, Thumbnails
from shared.images.ids import digest
from shared.storage import Store


def colour(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The originals of which thumbnails were made."""
    originals: list[object] = []
    make = pictures.data_uri
    monkeypatch.setattr(pictures, "data_uri", lambda data, **more: originals.append(data) or make(data, **more))
    return originals


def shown(folder: Path, originals: Mapping[str, Original | StoredThumbnail]) -> dict[str, PagePicture | None]:
    """What a page shows of some originals."""
    thumbnails = Thumbnails(originals, remembered_thumbnails(Store(str(folder))))
    page = {uri: thumbnails.of(uri) for uri in originals}
    thumbnails.remember()
    return page


def test_the_next_page_makes_only_the_thumbnails_that_no_page_had(tmp_path: Path, made: list[object]) -> None:
    first = shown(tmp_path, {"/a.png": Original(colour(1)), "/broken.png": Original(b"no picture")})
    assert len(made) == 2
    again = shown(tmp_path, {"/moved/a.png": Original(colour(1)), "/broken.png": Original(b"no picture")})
    assert len(made) == 2
    assert [*again.values()] == [*first.values()]
    shown(tmp_path, {"/a.png": Original(colour(2)), "/b.png": Original(colour(1), rotation=90)})
    assert len(made) == 4, "neither other bytes under the same name nor another rotation is the same picture"


def test_an_original_that_comes_back_is_shown_again(tmp_path: Path, made: list[object]) -> None:
    gone = StoredThumbnail(digest(colour(1)), bytes(LENGTH), 30, 20, None)
    (small,) = shown(tmp_path, {"/a.png": gone}).values()
    (again,) = shown(tmp_path, {"/a.png": Original(colour(1))}).values()
    assert small
    assert again
    assert (small.stored, again.stored, len(made)) == (True, False, 1)
    assert shown(tmp_path, {"/a.png": gone}) == {"/a.png": again}, "what a page showed is better than what was measured"


def test_a_page_without_a_workspace_remembers_nothing(tmp_path: Path, made: list[object]) -> None:
    thumbnails = Thumbnails({"/a.png": Original(colour(1))})
    assert thumbnails.of("/a.png")
    thumbnails.remember()
    assert len(made) == 1


def test_doctor_looks_at_them(tmp_path: Path) -> None:
    shown(tmp_path, {"/a.png": Original(colour(1))})
    assert memory_folders(Store(str(tmp_path))) == [pictures.REMEMBERED]


def test_a_table_that_grew_by_a_few_images_shows_nearly_the_same_ones() -> None:
    def table(count: int) -> pa.Table:
        uris = [f"/{i}.jpg" for i in range(count)]
        return pa.table({"uri": uris, "image_id": [hashlib.sha256(uri.encode()).hexdigest() for uri in uris]})

    before, after = (set(samples.images(table(count), 30)["uri"].to_pylist()) for count in (1000, 1010))
    assert len(before) == len(after) == 30
    assert len(before & after) >= 27
    assert before != {f"/{i}.jpg" for i in range(30)}
    assert len(samples.images(table(3), 30)) == 3
