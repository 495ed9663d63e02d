"""What a plan says of the disk is what a curation leaves there."""

from pathlib import Path

import numpy as np
import pytest
from conftest import picture

from curation.dedup import hash_files
from curation.dedup.hash_pairs import near_hashes
from curation.dedup.hash_tables import HashTables
from curation.embedders.descriptor import DescriptorEmbedder
from curation.embedders.efficientnet import EfficientNetLite0Embedder
from flows import pipeline
from flows.plan.storage import disk_bytes, width
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.stage_runner import Rounds
from shared.storage import Store

IMAGES = 300


@pytest.fixture(scope="module")
def curated(tmp_path_factory) -> Session:
    root = tmp_path_factory.mktemp("photos")
    for seed in range(IMAGES):
        picture(seed, (64, 48)).save(root / f"{seed:05}.jpg")
    recipe = recipe_of({}, str(root))
    session = Session(recipe, Store(str(tmp_path_factory.mktemp("work"))), Inline(), Silent())
    pipeline.curate(session)
    return session


def recipe_of(near, url="/photos", **perceptual) -> Recipe:
    curation = {"dedup": {"near": near, "perceptual": perceptual}}
    return Recipe.model_validate({"sources": [{"kind": "folder", "url": url}], "curation": curation})


def on_disk(session, folder) -> int:
    return sum(file.stat().st_size for file in Path(session.store.path(folder)).rglob("*") if file.is_file())


def test_tables_and_what_is_remembered_take_what_the_plan_says(curated) -> None:
    pairs = curated.outputs["candidates"].rows / IMAGES
    planned = disk_bytes(curated.recipe, IMAGES, pairs)
    assert on_disk(curated, "stages") == pytest.approx(planned.tables, rel=0.3)
    assert on_disk(curated, "memory") == pytest.approx(planned.memory, rel=0.3)


def test_the_widths_of_a_plan_are_those_of_the_vectors() -> None:
    for embedder in (DescriptorEmbedder(), EfficientNetLite0Embedder()):
        assert embedder.embed([picture(1)]).shape[1] == width(embedder)


def test_a_network_beside_the_descriptor_takes_two_vectors_an_image() -> None:
    one, two = (recipe_of({"embedder": "efficientnet-lite0", "candidates": {"layout": on}}) for on in (False, True))
    more = [disk_bytes(two, 1e6, 0), disk_bytes(one, 1e6, 0)]
    assert more[0].tables - more[1].tables == more[0].memory - more[1].memory == 2048e6


def test_scratch_space_is_that_of_ten_million_images_and_grows_with_the_turns_that_are_searched() -> None:
    network = recipe_of({"embedder": "efficientnet-lite0", "candidates": {"layout": False}})
    planned = disk_bytes(network, 1e7, 0).scratch
    as_measured = planned - 1e7 * 2.35 * 2 * (1280 - 256)  # middle.py's vectors have 256 numbers
    assert as_measured == pytest.approx(26e9, rel=0.1)
    assert disk_bytes(recipe_of({}), 1e7, 0).scratch > 4 * planned
    assert disk_bytes(recipe_of({"verify": "none"}), 1e7, 0).scratch < planned / 2
    assert disk_bytes(recipe_of({"verify": "none"}, enabled=False), 1e7, 0).scratch == 0


def test_hashes_take_what_the_plan_says_where_they_are_exchanged(tmp_path, monkeypatch) -> None:
    """Their copies lie beside them for a time: where no embedding is searched that is the most."""
    alone = recipe_of({"enabled": False})
    planned = disk_bytes(alone, 1e8, 0).scratch / 1e8
    assert planned > 5 * disk_bytes(alone, 1e5, 0).scratch / 1e5 > 0
    assert disk_bytes(recipe_of({}), 1e8, 0).scratch > 1e8 * planned
    for module, name, value in ((hash_files, "IMAGES", 2_000), (hash_files, "FILE_ROWS", 80_000)):
        monkeypatch.setattr(module, name, value)
    distance = alone.curation.dedup.perceptual.distance
    monkeypatch.setattr(HashTables, "of", lambda *_: HashTables(distance, 2, 1))
    rows, there = np.random.default_rng(0).integers(0, 256, (20_000, 64), np.uint8), [0]

    def run(fn, items):
        if fn is hash_files.copy_hashes:
            yield from map(fn, items)
            there[0] = max(there[0], sum(file.stat().st_size for file in tmp_path.rglob("*.parquet")))

    every = np.arange(len(rows))
    hashes = hash_files.Hashes(lambda: every, every, lambda: iter([(every, rows)]))
    near_hashes(Rounds(Store(str(tmp_path)), "rounds", run), "hashes", hashes, hashes, distance, 64)
    assert there[0] / len(rows) == pytest.approx(planned, rel=0.2)  # places are small here
