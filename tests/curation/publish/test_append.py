"""Shards are only added: however a dataset grew, it says and holds what one made at once does, and rewrites nothing."""

import functools
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import encoded, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.publish.append.compact import compact, dead_share
from shared.dataset_version import Published, open_version, versions
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store
from tests.publishers import hidden, logical, members, publish


@functools.cache
def image(seed: int) -> bytes:
    return encoded(picture(seed, (64, 48)))


def put(root: Path, name: str, seed: int) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image(seed))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for i in range(40):
        put(tmp_path / "photos", f"{'ab'[i % 2]}/{i:03}.jpg", i)
    return tmp_path / "photos"


def holds(dataset: Published) -> None:
    """Every image is where the manifest says, and whole tars without hidden members are the images and nothing else."""
    kept = dataset.table("manifest").to_pylist()
    for row in kept:
        assert dataset.read(row["shard"], row["offset"], row["length"]) == Path(row["uri"]).read_bytes()
    everything, gone = members(dataset), hidden(dataset)
    assert gone <= everything.keys()
    whole = {key: value for key, value in everything.items() if key not in gone}
    assert set(whole) == {(row["shard"], row["image_id"]) for row in kept}
    for row in kept:
        data, sidecar = whole[row["shard"], row["image_id"]]
        assert data == Path(row["uri"]).read_bytes()
        assert {name: row[name] for name in sidecar if name != "metadata"} == {
            name: value for name, value in sidecar.items() if name != "metadata"
        }


def test_added_and_removed_images_rewrite_no_shard(photos: Path, tmp_path: Path) -> None:
    first = publish(photos, tmp_path / "w")
    before = {name: first.shards.read(name) for name in first.info["shards"]}
    put(photos, "a/900.jpg", 900)
    (photos / "a/000.jpg").unlink()
    second = publish(photos, tmp_path / "w")
    (new,) = second.info["shards"].keys() - before.keys()
    assert second.info["shards"][new]["members"] == 1
    assert {name: second.shards.read(name) for name in before} == before
    assert len(hidden(second)) == 1
    holds(second)
    assert logical(second) == logical(publish(photos, tmp_path / "fresh"))


def test_an_image_whose_label_changed_is_packed_anew_with_its_json(photos: Path, tmp_path: Path) -> None:
    publish(photos, tmp_path / "w")
    shutil.move(photos / "a/002.jpg", photos / "b/002.jpg")
    second = publish(photos, tmp_path / "w")
    assert len(hidden(second)) == 1
    holds(second)


def test_an_image_that_comes_back_is_found_where_it_lay(photos: Path, tmp_path: Path) -> None:
    first = publish(photos, tmp_path / "w")
    (photos / "a/002.jpg").unlink()
    publish(photos, tmp_path / "w")
    put(photos, "a/002.jpg", 2)
    third = publish(photos, tmp_path / "w")
    assert third.version == "v0003"
    assert third.info["shards"] == first.info["shards"]
    assert hidden(third) == set()


def test_any_older_version_may_be_deleted(photos: Path, tmp_path: Path) -> None:
    publish(photos, tmp_path / "w")
    put(photos, "a/900.jpg", 900)
    publish(photos, tmp_path / "w")
    shutil.rmtree(tmp_path / "w/datasets/pets/v0001")
    put(photos, "b/901.jpg", 901)
    third = publish(photos, tmp_path / "w")
    assert third.version == "v0003"
    holds(third)


@pytest.mark.parametrize("lost", ["missing", "cut short"])
def test_images_of_a_shard_that_was_lost_are_packed_anew(photos: Path, tmp_path: Path, lost: str) -> None:
    first = publish(photos, tmp_path / "w")
    name = min(first.info["shards"])
    path = tmp_path / "w/datasets/pets/shards" / name
    data = path.read_bytes()
    path.unlink()
    (tmp_path / "w/datasets/pets/v0001/shards" / name).unlink()
    if lost == "cut short":
        path.write_bytes(data[:-1024])
        (tmp_path / "w/datasets/pets/v0001/shards" / name).write_bytes(data[:-1024])
    put(photos, "a/900.jpg", 900)
    holds(publish(photos, tmp_path / "w"))


def test_exif_is_kept_by_images_that_stay_where_they_lie(photos: Path, tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x010F] = "Maker"
    (photos / "a/777.jpg").write_bytes(encoded(picture(777, (64, 48)), exif=exif))
    pack = {"pack": {"shard_images": 16, "exif": True}}
    publish(photos, tmp_path / "w", **pack)
    put(photos, "a/900.jpg", 900)
    grown = publish(photos, tmp_path / "w", **pack)
    rows = {Path(row["uri"]).name: row for row in grown.table("manifest").to_pylist()}
    assert "Maker" in rows["777.jpg"]["metadata"]
    assert len(grown.info["shards"]) == 4
    assert logical(grown) == logical(publish(photos, tmp_path / "fresh", **pack))
    assert "exif" not in grown.info["recipe"]["curation"]["pack"] or grown.info["exif"]
    plain = publish(photos, tmp_path / "w")  # whose sidecars say less: nothing can stay
    assert not plain.info["shards"].keys() & grown.info["shards"].keys()
    holds(plain)


def test_compaction_holds_the_same_content_in_fewer_bytes_under_the_same_name(photos: Path, tmp_path: Path) -> None:
    publish(photos, tmp_path / "w")
    first = min(open_version(Store(str(tmp_path / "w")), "pets").info["shards"])
    for row in publish(photos, tmp_path / "w").table("manifest").to_pylist():
        if row["shard"] == first and row["offset"] > 20_000:
            Path(row["uri"]).unlink()
    for i in (900, 901):
        put(photos, f"a/{i}.jpg", i)
        before = publish(photos, tmp_path / "w")
    assert dead_share(before.info["shards"][first]) > 0.3
    store = Store(str(tmp_path / "w"))
    done = compact(store, "pets", 0.3, Inline(), Silent())
    assert first in done.repacked
    assert len(done.repacked) == 3  # and the two shards of one image
    assert done.dataset.version == "v0004"
    assert done.dataset.content_version == "v0003"
    assert hidden(done.dataset) == set()
    holds(done.dataset)
    assert logical(done.dataset) == logical(before)
    assert compact(store, "pets", 0.3, Inline(), Silent()).repacked == []
    assert publish(photos, tmp_path / "w") == done.dataset
    assert versions(store, "pets")[-1] == "v0004"


@pytest.mark.slow
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_series_of_changes_ends_where_a_fresh_run_does(tmp_path_factory, seed: int) -> None:
    tmp_path, rng = tmp_path_factory.mktemp("series"), np.random.default_rng(seed)
    root, near = tmp_path / "photos", {"dedup": {}}  # near duplicates, too
    for i in range(30):
        put(root, f"a/{i:03}.jpg", i)
    dataset = publish(root, tmp_path / "w", **near)
    for step in range(10):
        for _ in range(int(rng.integers(1, 6))):
            existing = sorted(root.rglob("*.jpg"))
            path = existing[int(rng.integers(len(existing)))]
            kind = rng.choice(["add", "change", "delete", "move", "copy"])
            seed_of = int(rng.integers(60))
            if kind == "add":
                put(root, f"{rng.choice(['a', 'b'])}/{rng.integers(1000):03}.jpg", seed_of)
            elif kind == "change":
                path.write_bytes(image(seed_of))
            elif kind == "delete" and len(existing) > 10:
                path.unlink()
            elif kind == "move":
                (root / "b").mkdir(exist_ok=True)
                path.rename(root / "b" / path.name)
            elif kind == "copy" and path.name != (copy := f"copy{step}.jpg"):
                shutil.copy(path, path.with_name(copy))
        if step == 6:
            compact(Store(str(tmp_path / "w")), "pets", 0.1, Inline(), Silent())
        dataset = publish(root, tmp_path / "w", **near)
    holds(dataset)
    assert logical(dataset) == logical(publish(root, tmp_path / "fresh", **near))


def test_compaction_deletes_shards_that_no_version_lists_and_no_others(photos: Path, tmp_path: Path) -> None:
    publish(photos, tmp_path / "w")
    for path in sorted(photos.rglob("*.jpg"))[:30]:
        path.unlink()
    second = publish(photos, tmp_path / "w")
    store, pool = Store(str(tmp_path / "w")), tmp_path / "w/datasets/pets/shards"
    done = compact(store, "pets", 0.3, Inline(), Silent())
    assert done.removed == 0
    holds(second)
    for version in ("v0001", "v0002"):
        shutil.rmtree(tmp_path / "w/datasets/pets" / version)
    assert compact(store, "pets", 0.3, Inline(), Silent()).removed > 0
    assert {path.name for path in pool.glob("*.tar")} == done.dataset.info["shards"].keys()
    holds(done.dataset)


def test_a_lost_folder_of_shards_is_put_together_again_from_the_version(photos: Path, tmp_path: Path) -> None:
    publish(photos, tmp_path / "w")
    shutil.rmtree(tmp_path / "w/datasets/pets/shards")
    put(photos, "a/900.jpg", 900)
    second = publish(photos, tmp_path / "w")
    assert len(second.info["shards"]) == 4
    holds(second)


def test_a_damaged_shard_that_was_deleted_is_packed_anew_though_older_versions_have_it(
    photos: Path, tmp_path: Path
) -> None:
    first = publish(photos, tmp_path / "w")
    put(photos, "a/900.jpg", 900)
    publish(photos, tmp_path / "w")
    home, name = tmp_path / "w/datasets/pets", min(first.info["shards"])
    data = bytearray((home / "shards" / name).read_bytes())
    data[3000] ^= 1
    (home / "shards" / name).write_bytes(data)  # of all versions: they share it
    (home / "shards" / name).unlink()
    shutil.rmtree(home / "v0002")
    holds(publish(photos, tmp_path / "w"))
