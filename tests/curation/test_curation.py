"""The curation from a folder to a published version: what holds for any images, any order, any partition."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from curation.stages import STAGES
from flows import pipeline
from flows.demo.corpus.scene import picture as scene
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.catalog import DROPPED, MANIFEST
from shared.errors import WorkFailedError
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store
from tests.publishers import logical


def curate(source: Path, workspace: Path, part_images: int = 16, shard_images: int = 16, executor=None, **more):
    curation = {"index": {"part_images": part_images}, "pack": {"shard_images": shard_images}, **more}
    sources = [{"kind": "folder", "url": str(source)}]
    recipe = Recipe.model_validate({"sources": sources, "curation": curation})
    session = Session(recipe, Store(str(workspace)), executor or Inline(), Silent())
    return pipeline.curate(session)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """40 pictures; copies of eight kinds; seven bad files."""
    root = tmp_path_factory.mktemp("corpus") / "photos"
    write = {f"cats/{i:02d}.jpg": encoded(picture(i, (160, 120))) for i in range(40)}
    first = picture(0, (160, 120))
    write |= {
        "dogs/bytes.jpg": write["cats/00.jpg"],
        "dogs/again.jpg": write["cats/00.jpg"],
        "dogs/pixels.png": encoded(Image.open(io.BytesIO(write["cats/01.jpg"])), "PNG"),
        "dogs/smaller.jpg": encoded(first.resize((96, 72))),
        "dogs/poorer.jpg": encoded(picture(2, (160, 120)), quality=30),
        "dogs/mirrored.jpg": encoded(picture(3, (160, 120)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        "cats/star.jpg": encoded(scene("star", np.random.default_rng(1), (160, 120))),
        "dogs/cropped.jpg": encoded(scene("star", np.random.default_rng(1), (160, 120)).crop((12, 9, 148, 111))),
        "dogs/framed.jpg": encoded(ImageOps.expand(picture(6, (160, 120)), 20, (250, 250, 250))),
        "bad/empty.jpg": b"",
        "bad/page.jpg": b"<html></html>",
        "bad/half.jpg": write["cats/05.jpg"][:2000],
        "bad/tiny.png": encoded(picture(90, (10, 10)), "PNG"),
        "bad/strip.jpg": encoded(picture(91, (400, 60))),
        "bad/black.png": encoded(Image.new("RGB", (64, 64)), "PNG"),
        "bad/flat.png": encoded(Image.new("RGB", (64, 64), (90, 140, 200)), "PNG"),
    }
    for name, data in write.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture(scope="module")
def published(corpus, tmp_path_factory):
    return curate(corpus, tmp_path_factory.mktemp("published"))[0]


def contents(dataset):
    """Everything that a version holds, but for when it was made."""
    folder = Path(dataset.store.path())
    parts = sorted([*folder.glob("manifest/*"), *folder.glob("dropped/*"), *folder.glob("shards/*")])
    return {str(path.relative_to(folder)): path.read_bytes() for path in parts}


def test_every_indexed_uri_is_kept_or_dropped_once(corpus, published):
    kept, dropped = (published.table(kind)["uri"].to_pylist() for kind in ("manifest", "dropped"))
    assert sorted(kept + dropped) == sorted(str(path) for path in corpus.rglob("*.*"))
    assert published.info["counts"]["indexed"] == len(kept) + len(dropped)


def test_every_planted_file_is_dropped_for_its_reason(published):
    reasons = {Path(r["uri"]).name: r["reason"] for r in published.table("dropped").to_pylist()}
    assert {name: reasons.get(name) for name in ("empty.jpg", "page.jpg", "half.jpg")} == dict.fromkeys(
        ("empty.jpg", "page.jpg", "half.jpg"), "unreadable"
    )
    assert reasons["tiny.png"] == "too_small"
    assert reasons["strip.jpg"] == "odd_aspect"
    assert reasons["black.png"] == "dark"
    assert reasons["flat.png"] == "low_information"
    exact = {name for name, reason in reasons.items() if reason == "exact_duplicate"}
    assert len(exact) == 3
    assert reasons["smaller.jpg"] == "perceptual_duplicate"
    assert reasons["poorer.jpg"] == "perceptual_duplicate"
    assert reasons.get("mirrored.jpg", reasons.get("03.jpg")) == "perceptual_duplicate"
    assert reasons["cropped.jpg"] in ("perceptual_duplicate", "near_duplicate")  # its hash is some ten bits off
    assert reasons["06.jpg"] in ("perceptual_duplicate", "near_duplicate")  # the framed one has more pixels
    assert len(reasons) == 15


def test_every_duplicate_names_a_kept_image(published):
    kept = set(published.table("manifest")["uri"].to_pylist())
    named = [uri for uri in published.table("dropped")["kept_uri"].to_pylist() if uri]
    assert len(named) == 8
    assert set(named) <= kept


def test_the_tables_are_those_of_the_contract(published):
    folder = Path(published.store.path())
    for kind, contract in (("manifest", MANIFEST), ("dropped", DROPPED)):
        for path in folder.glob(f"{kind}/*"):
            assert pq.read_schema(path).names == contract.schema.names


def test_a_pread_gives_the_original_bytes(published):
    for row in published.table("manifest").to_pylist():
        assert published.read(row["shard"], row["offset"], row["length"]) == Path(row["uri"]).read_bytes()


def test_other_partitions_give_the_same_bytes(corpus, published, tmp_path):
    assert contents(curate(corpus, tmp_path / "w", part_images=50)[0]) == contents(published)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100))
def test_the_order_of_files_changes_nothing(corpus, published, tmp_path_factory, seed):
    import os

    rng = np.random.default_rng(seed)
    for path in sorted(corpus.rglob("*.*")):
        when = float(rng.integers(1_000_000_000, 1_700_000_000))
        os.utime(path, (when, when))
    assert contents(curate(corpus, tmp_path_factory.mktemp("order"))[0]) == contents(published)


def test_a_second_run_publishes_nothing_new(corpus, tmp_path):
    first, new = curate(corpus, tmp_path / "w")
    again, newer = curate(corpus, tmp_path / "w")
    assert (new, newer) == (True, False)
    assert again.version == first.version == "v0001"


def test_added_images_make_the_version_that_a_fresh_run_makes(photos, tmp_path):
    root = photos(40)
    curate(root, tmp_path / "w")
    photos(20, first=40)
    grown, new = curate(root, tmp_path / "w")
    assert new
    assert grown.version == "v0002"
    assert logical(grown) == logical(curate(root, tmp_path / "fresh")[0])


def test_a_new_threshold_reads_no_image_again(corpus, tmp_path, monkeypatch):
    curate(corpus, tmp_path / "w")
    monkeypatch.setattr("curation.measure.measure.decode", lambda data: pytest.fail("an image was decoded"))
    monkeypatch.setattr("flows.report.dataset.render", lambda *_: "")
    monkeypatch.setattr("flows.pipeline.render", lambda *_: "")
    recipe = Recipe.model_validate(
        {
            "sources": [{"kind": "folder", "url": str(corpus)}],
            "curation": {"index": {"part_images": 16}, "pack": {"shard_images": 16}, "quality": {"rules": []}},
        }
    )
    dataset, _ = pipeline.curate(Session(recipe, Store(str(tmp_path / "w")), Inline(), Silent()))
    assert "dark" not in dataset.info["counts"]["reasons"]
    assert dataset.version == "v0002"


def test_a_curation_killed_in_every_stage_completes_with_the_same_bytes(corpus, photos, tmp_path):
    sets = [{"name": "test", "source": {"kind": "folder", "url": str(photos(2))}, "cap": 1.0}]
    everything = {"decontaminate": {"sets": sets}, "balance": {"enabled": True}}
    killed = []

    class Killed(Inline):
        """Dies once in every kind of work, after its first piece."""

        def map(self, fn, items, label, needs=None):
            for item in items:
                yield fn(item)
                if label not in killed:
                    killed.append(label)
                    raise KeyboardInterrupt

    for _ in range(4 * len(STAGES)):  # each attempt ends in a kind of work that no earlier one ended in
        before = len(killed)
        try:
            dataset, _ = curate(corpus, tmp_path / "w", executor=Killed(), **everything)
            break
        except KeyboardInterrupt:
            assert len(killed) == before + 1
    assert {stage.name for stage in STAGES} <= {label.partition(":")[0] for label in killed}
    assert contents(dataset) == contents(curate(corpus, tmp_path / "fresh", **everything)[0])


def test_an_image_that_goes_on_changing_is_an_error_and_not_a_wrong_shard(photos, tmp_path, monkeypatch):
    root = photos(20)
    from curation.publish.append import new_shards

    read = new_shards.read_bytes
    monkeypatch.setattr(new_shards, "read_bytes", lambda rows: (data + b"!" for data in read(rows)))
    with pytest.raises(WorkFailedError, match="changed meanwhile"):
        curate(root, tmp_path / "w")


def test_webdataset_reads_the_shards(published):
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(str(path) for path in Path(published.store.path("shards")).glob("*.tar"))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    assert {sample["__key__"] for sample in samples} == set(published.table("manifest")["image_id"].to_pylist())
    assert all(sample["jpg"].size == (sample["json"]["width"], sample["json"]["height"]) for sample in samples)


def test_hugging_face_datasets_reads_the_shards(published, tmp_path):
    datasets = pytest.importorskip("datasets")
    shards = sorted(str(path) for path in Path(published.store.path("shards")).glob("*.tar"))
    loaded = datasets.load_dataset("webdataset", data_files=shards, split="train", cache_dir=str(tmp_path))
    assert loaded.num_rows == published.info["counts"]["kept"]
    assert loaded[0]["jpg"].size == (loaded[0]["json"]["width"], loaded[0]["json"]["height"])


def test_shards_are_plain_tars_of_original_files(published):
    shard = next(Path(published.store.path("shards")).glob("*.tar"))
    with tarfile.open(shard) as tar:
        names = tar.getnames()
        facts = json.load(tar.extractfile(names[1]))
    assert names[0] == f"{facts['image_id']}.jpg"


def test_the_recipe_says_which_copy_is_kept(tmp_path):
    first, second = tmp_path / "b" / "small.png", tmp_path / "a" / "large.jpg"
    for path, data in ((first, encoded(picture(1, (80, 60)), "PNG")), (second, encoded(picture(1, (160, 120))))):
        path.parent.mkdir()
        path.write_bytes(data)
    sources = [{"kind": "folder", "url": str(path.parent)} for path in (first, second)]
    kept = {}
    for keep in (["-pixels"], ["pixels"], ["source"], ["-source"], ["-sharpness"], ["bytes"]):
        curation = {"dedup": {"keep": keep, "perceptual": {"distance": 32}}, "quality": {"rules": []}}
        recipe = Recipe.model_validate({"sources": sources, "curation": curation})
        dataset, _ = pipeline.curate(Session(recipe, Store(str(tmp_path / "w")), Inline(), Silent()))
        (kept[keep[0]],) = (Path(uri).stem for uri in dataset.table("manifest")["uri"].to_pylist())
    sizes = {path.stem: path.stat().st_size for path in (first, second)}
    assert kept["-pixels"] == kept["-source"] == "large"
    assert kept["pixels"] == kept["source"] == "small"
    assert kept["bytes"] == min(sizes, key=sizes.get)
    assert kept["-sharpness"] in sizes
