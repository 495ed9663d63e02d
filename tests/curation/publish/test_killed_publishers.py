"""Publishing is all or nothing, and one at a time: real processes are killed in it, and meet in it."""

import os
from pathlib import Path

import pytest
from conftest import encoded, picture

from shared.dataset_version import open_version, versions
from shared.storage import UNFINISHED, Store
from tests.publishers import PLACES, at_once, hidden, killed, logical, members, publish


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(40):
        (root / f"{i:03}.jpg").write_bytes(encoded(picture(i, (60 + i, 40 + i))))
    return root


@pytest.mark.parametrize("place", PLACES)
def test_a_publisher_killed_anywhere_leaves_nothing_of_it_in_what_is_published_after(
    folder: Path, tmp_path: Path, place: str
) -> None:
    workspace = tmp_path / "w"
    killed(folder, workspace, place)
    store = Store(str(workspace))
    assert versions(store, "pets") == (["v0001"] if place == "published" else [])
    for name in ("000.jpg", "001.jpg"):
        (folder / name).unlink()
    (folder / "900.jpg").write_bytes(encoded(picture(900)))
    after, fresh = publish(folder, workspace), publish(folder, tmp_path / "fresh")
    assert logical(after) == logical(fresh)
    listed = {Path(uri).name for uri in after.table("manifest", ["uri"])["uri"].to_pylist()}
    assert listed == {path.name for path in folder.iterdir()}
    in_tars = {key for key in members(after) if key not in hidden(after)}
    assert {image_id for _, image_id in in_tars} == set(after.table("manifest")["image_id"].to_pylist())
    drafts = [name for name in os.listdir(workspace / "datasets/pets") if name.startswith(UNFINISHED)]
    assert drafts == []
    assert os.listdir(workspace / "locks/dataset-pets") == []


def test_shards_that_a_killed_publisher_finished_are_not_written_again(folder: Path, tmp_path: Path) -> None:
    killed(folder, tmp_path / "w", "publish: tables")
    pool = tmp_path / "w/datasets/pets/shards"
    before = {path.name: path.stat().st_ino for path in pool.glob("*.tar")}
    dataset = publish(folder, tmp_path / "w")
    assert before.keys() == dataset.info["shards"].keys()
    assert {path.name: path.stat().st_ino for path in pool.glob("*.tar")} == before


def test_a_damaged_shard_of_a_killed_publisher_is_written_again(folder: Path, tmp_path: Path) -> None:
    killed(folder, tmp_path / "w", "publish: tables")
    path = min((tmp_path / "w/datasets/pets/shards").glob("*.tar"))
    data = path.read_bytes()
    path.write_bytes(data[:2000] + b"!" + data[2001:])
    assert publish(folder, tmp_path / "w").info["shards"].keys() >= {path.name}
    assert path.read_bytes() == data


def test_publishers_that_meet_get_a_version_each_and_mix_nothing(folder: Path, tmp_path: Path) -> None:
    limits = (1, 50, 60)
    at_once(folder, str(tmp_path / "w"), limits)
    store = Store(str(tmp_path / "w"))
    made = versions(store, "pets")
    content = [logical(open_version(store, "pets", version)) for version in made]
    fresh = [
        logical(publish(folder, tmp_path / f"f{limit}", quality={"rules": [{"kind": "too_small", "threshold": limit}]}))
        for limit in limits
    ]
    assert made == ["v0001", "v0002", "v0003"]
    assert all(one in content for one in fresh)


def test_a_publisher_that_was_taken_for_dead_publishes_nothing_without_its_tables(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation.publish import publish as publishing
    from shared.errors import WorkFailedError

    made = publishing._made

    def interrupted(draft, *more):
        facts = made(draft, *more)
        publishing.Draft.begin(draft.workspace, draft.name)  # as whoever takes the lock over does
        return facts

    monkeypatch.setattr(publishing, "_made", interrupted)
    with pytest.raises(WorkFailedError, match=r"needs every table that it wrote, got no manifest/part-000000.parquet"):
        publish(folder, tmp_path / "w")
    assert versions(Store(str(tmp_path / "w")), "pets") == []
