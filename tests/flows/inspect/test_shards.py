"""Whoever reads whole tars finds just the images of a version: by its tombstones, or in tars that hold nothing else."""

import os
import re
from html import unescape
from pathlib import Path

import pytest
from conftest import encoded, picture

from flows.inspect.compact import compact_dataset
from flows.inspect.shards import list_shards
from flows.inspect.verify import verify
from flows.pipeline import ReportRequest, draw_report
from shared.dataset_version import Published
from shared.errors import UserError
from tests.publishers import hidden, members, publish


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A second version, which hides an image of the first."""
    home = tmp_path_factory.mktemp("shards")
    for i in range(30):
        path = home / "photos" / f"{i:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(picture(i, (64, 48))))
    publish(home / "photos", home / "w")
    (home / "photos/003.jpg").unlink()
    dataset = publish(home / "photos", home / "w")
    draw_report(ReportRequest(str(home / "w"), "pets", dataset.version))
    return dataset


def ids(dataset: Published) -> set[str]:
    return set(dataset.table("manifest", ["image_id"])["image_id"].to_pylist())


def workspace(dataset: Published) -> str:
    return str(Path(dataset.store.path()).parents[2])


def test_the_lines_of_the_report_read_the_images_of_the_version_and_no_others(grown, monkeypatch, capsys) -> None:
    pytest.importorskip("webdataset")
    assert len(members(grown)) == len(ids(grown)) + 1
    page = Path(grown.store.path("report.html")).read_text()
    (code,) = re.findall(r"<pre>(import glob.*?)</pre>", page, re.DOTALL)
    monkeypatch.chdir(grown.store.path())
    exec(unescape(code), {})
    printed = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in printed} == ids(grown)


def test_shards_are_listed_with_what_they_hide(grown) -> None:
    listed = list_shards(workspace(grown), "pets/v0002", None, json=True)["shards"]
    assert {os.path.basename(shard["path"]) for shard in listed} == grown.info["shards"].keys()
    assert sum(shard["hidden"] for shard in listed) == len(hidden(grown)) == 1


def test_clean_tars_hold_the_images_and_their_jsons_and_nothing_else(grown, tmp_path) -> None:
    webdataset = pytest.importorskip("webdataset")
    listed = list_shards(workspace(grown), "pets/v0002", str(tmp_path / "clean"), json=True)["shards"]
    tars = [shard["path"] for shard in listed]
    assert {Path(path).name for path in tars} == grown.info["shards"].keys()
    found = {one["__key__"]: one for one in webdataset.WebDataset(tars, shardshuffle=False).decode()}
    whole = {key: value for (_, key), value in members(grown).items()}
    assert found.keys() == ids(grown)
    assert all(one["json"] == whole[key][1] for key, one in found.items())
    with pytest.raises(UserError, match="an empty or a new folder"):
        list_shards(workspace(grown), "pets/v0002", str(tmp_path / "clean"), json=True)


def test_a_compacted_version_hides_nothing_and_is_whole(grown, capsys) -> None:
    facts = compact_dataset(workspace(grown), None, 0.01, json=True)
    assert facts["version"] == "v0003"
    assert len(facts["repacked"]) == 1
    assert verify(workspace(grown), "pets/v0003", json=True)["damaged"] == []
    assert verify(workspace(grown), "pets/v0002", json=True)["damaged"] == []
    with pytest.raises(UserError, match="a share of dead bytes from 0 to 1, got 2"):
        compact_dataset(workspace(grown), None, 2, json=True)
    with pytest.raises(UserError, match="the name of a dataset, got 'cats'"):
        compact_dataset(workspace(grown), "cats", 0.3, json=True)
