"""`datasets gc` deletes what no version needs, and nothing else; `doctor` finds every damage and mends the cache."""

import json
import shutil
import time
from pathlib import Path

import pytest
from conftest import encoded, picture

from curation.stages import measure
from flows.inspect.upkeep.gc import collect_garbage
from flows.plan.garbage import garbage_of
from shared.dataset_version import open_version, versions
from shared.storage import Store
from tests.command_line import dinoflow, process_of
from tests.publishers import killed, logical, publish


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(24):
        (root / f"{i:03}.jpg").write_bytes(encoded(picture(i, (60, 40))))
    return root


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def parts(folder: Path) -> set[str]:
    """What a stage made; the orders of its pieces are for as long as it runs."""
    return {name for name in tree(folder) if not name.startswith("orders/")}


def test_gc_first_says_what_and_how_much_and_deletes_it_only_when_told_to(photos: Path, tmp_path: Path) -> None:
    publish(photos, tmp_path / "w")
    (photos / "000.jpg").unlink()
    publish(photos, tmp_path / "w")
    shutil.rmtree(tmp_path / "w/datasets/pets/v0001")
    before, size = tree(tmp_path / "w"), sum(p.stat().st_size for p in (tmp_path / "w").rglob("*") if p.is_file())
    dry = process_of("datasets", tmp_path / "w", "gc", "--hours", 0)
    assert dry.returncode == 0, dry.stderr
    assert "would be deleted. Nothing is yet.\nRun it again with --yes" in dry.stdout
    assert tree(tmp_path / "w") == before
    done = dinoflow("datasets", tmp_path / "w", "gc", "--hours", 0, "--yes", "--json")
    freed = json.loads(done.stdout)["bytes"]
    assert set(freed) == {"stage cache"}
    left = sum(p.stat().st_size for p in (tmp_path / "w").rglob("*") if p.is_file())
    assert size - left == sum(freed.values()) > 0


def test_after_gc_a_version_has_all_that_it_needs_and_curation_makes_nothing_again(
    photos: Path, tmp_path: Path
) -> None:
    publish(photos, tmp_path / "w")
    (photos / "000.jpg").unlink()
    dataset = publish(photos, tmp_path / "w")
    content, measured = logical(dataset), parts(tmp_path / "w/stages/measure")
    collect_garbage(str(tmp_path / "w"), yes=True, hours=0, json=True)
    for one in versions(Store(str(tmp_path / "w")), "pets"):
        assert open_version(Store(str(tmp_path / "w")), "pets", one).table("manifest").num_rows
    assert parts(tmp_path / "w/stages/measure") == measured  # both versions are kept, and need all of it
    again = publish(photos, tmp_path / "w")
    assert (again.version, logical(again)) == (dataset.version, content)


def test_gc_keeps_what_the_next_search_finds_again_and_no_other(photos: Path, tmp_path: Path) -> None:
    publish(photos, tmp_path / "w")
    publish(photos, tmp_path / "w", dedup={"near": {"enabled": True}})  # the same version, of which it is no part
    memory = tmp_path / "w/stages/candidates/memory"
    before = tree(memory)
    collect_garbage(str(tmp_path / "w"), yes=True, hours=0, json=True)
    assert set() < tree(memory) < before


def test_gc_forgets_rows_of_other_versions_of_a_stage_and_no_others(photos: Path, tmp_path: Path) -> None:
    publish(photos, tmp_path / "w")
    publish(photos, tmp_path / "w", measure={"hash": "dhash"})  # the same version, which was made with the other
    memory = tmp_path / "w/memory/measure"
    ours, before = memory / f"v{measure.version}", tree(memory)
    assert len(list(ours.iterdir())) == 2
    shutil.copytree(ours, memory / "v1")
    shutil.copy(next(ours.glob("*/*.run")), memory)  # where they lay once
    shutil.rmtree(tmp_path / "w/stages")
    collect_garbage(str(tmp_path / "w"), yes=True, hours=0, json=True)
    assert tree(memory) == before


def test_gc_finds_what_killed_publishers_left_but_not_what_is_young(photos: Path, tmp_path: Path) -> None:
    killed(photos, tmp_path / "w", "publish: tables")
    store = Store(str(tmp_path / "w"))
    assert garbage_of(store, before=0.0) == {}
    assert {"stage cache", "drafts of killed commands"} <= garbage_of(store, time.time() + 1).keys()
    collect_garbage(str(tmp_path / "w"), yes=True, hours=0, json=True)
    assert not [name for name in tree(tmp_path / "w") if ".tmp-" in name]
    assert versions(store, "pets") == []


def test_the_doctor_mends_every_kind_of_file_of_the_cache(photos: Path, tmp_path: Path) -> None:
    dataset = publish(photos, tmp_path / "w")
    content = logical(dataset)
    damaged = set()
    places = ("stages/*/*.*", "memory/*/*.*", "memory/*/*/*/*.*", "memory/*/*/*/aliases/*.*")
    folders = {path.parent for place in places for path in (tmp_path / "w").glob(place)}
    for folder in sorted(folders):
        for kind in ("parquet", "json", "run"):
            for path in sorted(folder.glob(f"*.{kind}"))[:1]:
                data = path.read_bytes()
                path.unlink()  # a version may have a link to it
                path.write_bytes(
                    data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
                )
                damaged.add(str(path.relative_to(tmp_path / "w")))
    done = process_of("doctor", tmp_path / "w", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["mended"]) >= damaged
    assert {tuple(name.split("/")[:2]) for name in damaged} >= {("memory", "measure")}
    assert any("/aliases/" in name for name in damaged)
    assert dinoflow("doctor", tmp_path / "w").stdout.endswith("are as they were written\n")
    shutil.rmtree(tmp_path / "w/datasets")
    assert logical(publish(photos, tmp_path / "w")) == content


def test_the_doctor_names_damaged_versions_and_checkpoints(photos: Path, tmp_path: Path) -> None:
    publish(photos, tmp_path / "w")
    checkpoint = tmp_path / "w/runs/r/checkpoints/step-00000005"
    checkpoint.mkdir(parents=True)
    (checkpoint / "checkpoint.json").write_text('{"sha256": "0"}')
    (checkpoint / "state.pt").write_bytes(b"weights")
    shard = min((tmp_path / "w/datasets/pets/shards").glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-5000])
    info = tmp_path / "w/datasets/pets/v0001/dataset.json"
    done = dinoflow("doctor", tmp_path / "w")
    assert done.returncode == 1
    assert f"datasets/pets/v0001/shards/{shard.name}" in done.stderr
    assert "runs/r/checkpoints/step-00000005 has other bytes than were saved" in done.stderr
    info.write_text(info.read_text().replace('"kept": 24', '"kept": 25'))
    done = dinoflow("doctor", tmp_path / "w")
    assert "datasets/pets/v0001/dataset.json: has other content than was written" in done.stderr
    assert "Traceback" not in done.stderr
