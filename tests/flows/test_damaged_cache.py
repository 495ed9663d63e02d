"""A damaged file of the cache is found by whoever reads it, made again, and said; nothing damaged is published."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture

from flows import pipeline
from shared.dataset_version import Published
from shared.errors import DamagedFileError
from shared.launch.progress import Silent
from tests.publishers import logical, publish, session

STAGES = ("index", "measure", "quality", "dedup", "select", "pack")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Change what is read whoever reads it: a third into a JSON, the last byte of every column of a table."""
    data = bytearray(path.read_bytes())
    places = [len(data) // 3]
    if path.suffix == ".parquet":
        group = pq.read_metadata(path).row_group(0)
        columns = [group.column(i) for i in range(group.num_columns)]
        places = [_start(column) + column.total_compressed_size - 1 for column in columns]
    for place in places:
        data[place] ^= 4
    path.write_bytes(data)


def _start(column: Any) -> int:
    return int(column.dictionary_page_offset or column.data_page_offset)


def flip_the_end(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 4
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = (cut, flip, flip_the_end, empty, Path.unlink)


class Lines(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, object]:
    root = tmp_path_factory.mktemp("built")
    (root / "photos").mkdir()
    for i in range(24):
        (root / "photos" / f"{i:03}.jpg").write_bytes(encoded(picture(i % 20, (60, 40))))
    return root / "photos", root / "w", logical(publish(root / "photos", root / "w"))


CASES = [
    *(("measure", kind, damage) for kind in ("parquet", "json") for damage in DAMAGES),
    *((stage, kind, flip) for stage in STAGES for kind in ("parquet", "json") if stage != "measure"),
]


@pytest.mark.parametrize(("stage", "kind", "damage"), CASES)
def test_what_is_published_after_damage_is_what_would_have_been(
    built: tuple[Path, Path, object], tmp_path: Path, stage: str, damage: Callable[[Path], None], kind: str
) -> None:
    photos, workspace, content = built
    copy = shutil.copytree(workspace, tmp_path / "w")
    shutil.rmtree(copy / "datasets")
    for later in STAGES[STAGES.index(stage) + 1 :]:
        shutil.rmtree(copy / "stages" / later)
    path = min((copy / "stages" / stage).glob(f"*.{kind}"))
    damage(path)
    said = Lines()
    dataset = curated(photos, copy, said)
    assert logical(dataset) == content
    listed_anew = stage == "index"  # it is written whenever sources are listed
    if damage is not Path.unlink and not listed_anew:
        assert [line for line in said.lines if path.name in line and "made again" in line]


def curated(photos: Path, workspace: Path, reporter: Silent) -> Published:
    work = session(photos, str(workspace))
    work.reporter = reporter
    return work.made_again(lambda: pipeline.made_version(work))[0]


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink], ids=lambda one: one.__name__)
@pytest.mark.parametrize("where", ["pack/*/dropped.parquet", "pack/scatter/*.parquet", "pack/buckets/*.parquet"])
def test_files_beside_parts_are_checked_too(
    built: tuple[Path, Path, object], tmp_path: Path, damage: Callable[[Path], None], where: str
) -> None:
    photos, workspace, content = built
    copy = shutil.copytree(workspace, tmp_path / "w")
    shutil.rmtree(copy / "datasets")
    if "dropped" not in where:
        for path in (copy / "stages/pack").glob("*.json"):
            path.unlink()
    damage(min((copy / "stages").glob(where)))
    assert logical(curated(photos, copy, Lines())) == content


@pytest.mark.parametrize("damage", [flip, Path.unlink], ids=lambda one: one.__name__)
def test_a_version_that_grew_takes_nothing_from_damaged_tables_of_the_one_before(
    built: tuple[Path, Path, object], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    photos, workspace, _ = built
    copy = shutil.copytree(workspace, tmp_path / "w")
    more = shutil.copytree(photos, tmp_path / "more")
    (more / "900.jpg").write_bytes(encoded(picture(900)))
    damage(min((copy / "datasets/pets/v0001/manifest").glob("*")))
    said = Lines()
    assert logical(curated(more, copy, said)) == logical(publish(more, tmp_path / "fresh"))


def test_a_file_that_stays_damaged_ends_the_work_and_is_named(built: tuple[Path, Path, object], tmp_path: Path) -> None:
    work = session(built[0], str(shutil.copytree(built[1], tmp_path / "w")))
    broken = DamagedFileError("stages/measure/x.parquet", "is cut short")

    def read() -> None:
        raise broken

    with pytest.raises(DamagedFileError, match=r"needs stages/measure/x.parquet as it was written, but it is cut shor"):
        work.made_again(read)
