"""What is published is what was measured: a file that changes under way is measured again in the same command."""

import os
from pathlib import Path

import pytest
from conftest import encoded, picture

from curation import stages
from curation.params import CurationParams
from curation.sources import FolderSource
from flows import pipeline
from flows.inspect.verify import verify
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.dataset_version import Published, versions
from shared.errors import WorkFailedError
from shared.images.ids import digest
from shared.launch.executors import Inline
from shared.storage import Store


class Told:
    """A reporter that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, *_: object) -> None:
        """Keep nothing."""

    def line(self, text: str) -> None:
        """Keep it."""
        self.lines.append(text)


def session(photos: Path, workspace: Path) -> Session:
    small = {"index": {"part_images": 16}, "pack": {"shard_images": 16}}
    params = CurationParams.model_validate(small)
    recipe = Recipe(name="pets", sources=(FolderSource(url=str(photos)),), curation=params)
    return Session(recipe, Store(str(workspace)), Inline(), Told())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(12):
        (root / f"{i:02}.bmp").write_bytes(encoded(picture(i, (80, 60)), "BMP"))
    return root


def overwrite(path: Path, seed: int) -> bytes:
    """Put another picture of equal length and time in the place of a file."""
    before, data = path.stat(), encoded(picture(seed, (80, 60)), "BMP")
    assert len(data) == before.st_size
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return data


def rows_of(dataset: Published) -> dict[str, dict]:
    return {Path(row["uri"]).name: row for row in dataset.table("manifest").to_pylist()}


def stored(dataset: Published, name: str) -> bytes:
    row = rows_of(dataset)[name]
    return dataset.read(row["shard"], row["offset"], row["length"])


def test_a_file_overwritten_after_it_was_measured_is_published_as_it_is(folder: Path, tmp_path: Path) -> None:
    session(folder, tmp_path / "w").make(stages.select)
    data = overwrite(folder / "03.bmp", 50)
    work = session(folder, tmp_path / "w")
    dataset, new = pipeline.curate(work)
    assert new
    assert work.reporter.lines == [f"changed under way, and measured again: {folder}/03.bmp"]
    row = rows_of(dataset)["03.bmp"]
    assert row["image_id"] == digest(data).hex()
    assert stored(dataset, "03.bmp") == data
    assert dataset.info["counts"]["kept"] == 12
    assert verify(str(tmp_path / "w"), "pets/v0001", json=True)["damaged"] == []


def test_the_next_command_finds_it_done_and_a_second_change_is_found_too(folder: Path, tmp_path: Path) -> None:
    session(folder, tmp_path / "w").make(stages.select)
    overwrite(folder / "03.bmp", 50)
    first, _ = pipeline.curate(session(folder, tmp_path / "w"))
    again = session(folder, tmp_path / "w")
    assert pipeline.curate(again) == (first, False)
    assert again.reporter.lines == []
    (folder / "99.bmp").write_bytes(encoded(picture(60, (80, 60)), "BMP"))
    session(folder, tmp_path / "w").make(stages.select)
    data = overwrite(folder / "99.bmp", 51)
    second, new = pipeline.curate(session(folder, tmp_path / "w"))
    assert new
    assert stored(second, "99.bmp") == data


def test_a_fresh_workspace_publishes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    session(folder, tmp_path / "w").make(stages.select)
    overwrite(folder / "03.bmp", 50)
    dataset, _ = pipeline.curate(session(folder, tmp_path / "w"))
    fresh, _ = pipeline.curate(session(folder, tmp_path / "fresh"))
    shards = [sorted(Path(one.store.path("shards")).glob("*")) for one in (dataset, fresh)]
    assert [path.read_bytes() for path in shards[0]] == [path.read_bytes() for path in shards[1]]


def test_a_file_deleted_before_it_was_measured_is_no_image_of_this_version(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.sources.opened.PAUSES", (0.001,))
    work = session(folder, tmp_path / "w")
    work.make(stages.index)
    (folder / "05.bmp").unlink()
    dataset, _ = pipeline.curate(work)
    assert "05.bmp" not in rows_of(dataset)
    assert dataset.info["counts"]["indexed"] == 11
    assert work.reporter.lines == [f"changed under way, and measured again: {folder}/05.bmp"]


def test_a_file_that_goes_on_changing_fails_the_command_and_publishes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation.publish.append import new_shards

    read, seeds = new_shards.read_bytes, iter(range(100, 200))

    def meanwhile(rows):
        overwrite(folder / "03.bmp", next(seeds))
        return read(rows)

    monkeypatch.setattr(new_shards, "read_bytes", meanwhile)
    with pytest.raises(WorkFailedError, match=r"as they were measured, but .*03.bmp changed meanwhile"):
        pipeline.curate(session(folder, tmp_path / "w"))
    assert versions(Store(str(tmp_path / "w")), "pets") == []
