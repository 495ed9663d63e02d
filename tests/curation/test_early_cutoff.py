"""What a stage does not read may change: it makes nothing again, and the run gives what a fresh one does."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import encoded, picture

from curation.stages import STAGES
from flows import pipeline
from flows.plan.garbage import collect
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store
from shared.tables import Rows
from tests.parsed import ROOT, TREES


class Watched(Inline):
    """Remembers which stages made something."""

    def __init__(self):
        self.made = set()

    def map(self, fn, items, label, *needs):
        self.made |= {label.partition(":")[0]} if items else set()
        return super().map(fn, items, label, *needs)


@pytest.fixture
def photos(tmp_path):
    """60 pictures in two classes, a copy of each tenth, a strip, and an evaluation set that shares one of them."""
    files = {f"corpus/{'ab'[i % 2]}/{i:02d}.jpg": encoded(picture(i, (96, 72))) for i in range(60)}
    files |= {f"corpus/b/{i}-copy.jpg": encoded(picture(i, (80, 60))) for i in range(0, 60, 10)}
    files |= {"corpus/a/strip.jpg": encoded(picture(70, (300, 60))), "corpus/a/broken.jpg": b"no image"}
    files |= {f"held/{i}.jpg": encoded(picture(i, (96, 72))) for i in (3, 80, 81)}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def recipe(photos: Path, strip: float = 0.4, label: str = "folder") -> Recipe:
    """Return one in which every stage has something to do."""
    rules = [{"kind": "too_small", "threshold": 32}, {"kind": "odd_aspect", "threshold": strip}]
    held = {"name": "held", "source": {"kind": "folder", "url": str(photos / "held")}}
    curation = {
        "index": {"part_images": 16},
        "pack": {"shard_images": 16},
        "quality": {"rules": rules},
        "decontaminate": {"sets": [held]},
        "balance": {"enabled": True, "target": 40},
    }
    source = {"kind": "folder", "url": str(photos / "corpus"), "name": "pets", "label": label}
    return Recipe.model_validate({"sources": [source], "curation": curation})


def curated(asked: Recipe, workspace: Path):
    """Return the stages that made something, the session, and the version."""
    watched = Watched()
    session = Session(asked, Store(str(workspace)), watched, Silent())
    dataset, _ = pipeline.curate(session)
    return watched.made & {stage.name for stage in STAGES}, session, dataset


def touch(photos: Path) -> None:
    """Give all files another time, which leaves them in their order: the listing of a folder follows it."""
    for path in photos.rglob("*.jpg"):
        os.utime(path, (1, path.stat().st_mtime + 60))


def rows(session: Session) -> dict[str, list]:
    """Return the rows of all tables but the listings."""
    tables = (stage.name for stage in STAGES if not stage.looks_outside)
    read = {name: list(Rows(session.store, session.outputs[name]).tables()) for name in tables}
    return {name: pa.concat_tables(parts).to_pylist() if parts else [] for name, parts in read.items()}


LISTING = {"index", "references"}


def test_touched_files_are_measured_anew_from_memory_and_nothing_else_is_made(photos):
    made, first, dataset = curated(recipe(photos), photos / "w")
    assert made == {stage.name for stage in STAGES}
    assert all(first.outputs[name].rows for name in ("dedup", "decontaminate", "balance"))
    touch(photos)
    made, again, same = curated(recipe(photos), photos / "w")
    assert made == {*LISTING, "measure", "measure_references"}
    assert (same.version, rows(again)) == (dataset.version, rows(first))
    assert not {part.name for part in again.outputs["measure"].parts} & {
        part.name for part in first.outputs["measure"].parts
    }


def test_a_threshold_that_changes_no_verdict_but_its_own_words_is_told_by_select_and_pack_alone(photos):
    curated(recipe(photos), photos / "w")
    made, session, dataset = curated(recipe(photos, strip=0.35), photos / "w")
    assert made == {*LISTING, "quality", "select", "pack"}
    _, fresh, anew = curated(recipe(photos, strip=0.35), photos / "fresh")
    assert rows(session) == rows(fresh)
    assert dataset.info["counts"] == anew.info["counts"]
    assert dataset.info["search"] == anew.info["search"]
    made, _, same = curated(recipe(photos, strip=0.35), photos / "w")
    assert (made, same.version) == (LISTING, dataset.version)


def test_a_threshold_that_nothing_is_near_is_told_by_no_stage(photos):
    (photos / "corpus/a/strip.jpg").unlink()
    curated(recipe(photos), photos / "w")
    made, _, _ = curated(recipe(photos, strip=0.35), photos / "w")
    assert made == {*LISTING, "quality"}


def test_what_is_found_again_outlives_the_files_that_another_run_made_it_of(photos):
    curated(recipe(photos), photos / "w")
    touch(photos)
    _, session, dataset = curated(recipe(photos, strip=0.35), photos / "w")
    before = rows(session)
    collect(session.store, delete=True, hours=0, say=lambda _: None)
    made, again, same = curated(recipe(photos, strip=0.35), photos / "w")
    assert (rows(again), same.version) == (before, dataset.version)
    assert made <= {*LISTING, "measure", "measure_references", "quality"}


def test_other_labels_are_packed_and_balanced_and_nothing_is_measured_or_compared(photos):
    curated(recipe(photos), photos / "w")
    made, session, dataset = curated(recipe(photos, label="none"), photos / "w")
    assert made == {*LISTING, "balance", "pack"}
    _, fresh, anew = curated(recipe(photos, label="none"), photos / "fresh")
    assert rows(session) == rows(fresh)
    assert dataset.info["search"] == anew.info["search"]
    assert set(dataset.table("manifest", ["label"])["label"].to_pylist()) == {None}


def test_files_of_parts_are_read_past_the_declaration_by_those_alone_who_ask_it_or_are_no_stage():
    readers = {path for path in TREES if path.startswith("curation/") and "read_part(" in (ROOT / path).read_text()}
    asked = {"curation/dedup/compared_thumbnails.py", "curation/dedup/ivf/selection.py"}  # the latter by near_search.py
    assert readers == asked | {"curation/publish/read_back.py"}
    for path in ("curation/dedup/compared_thumbnails.py", "curation/dedup/near_search.py"):
        assert ".readable([" in (ROOT / path).read_text(), path
