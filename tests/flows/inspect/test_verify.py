"""A published version that changed by one byte is found out, down to the image whose byte it was."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from looked_at import looked

from flows.inspect.verify import verify
from shared.storage.checked_json import json_facts, json_text
from shared.tables import FOLDER


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = looked(tmp_path_factory.mktemp("verify"))
    shutil.rmtree(there.workspace / FOLDER)
    return there.workspace


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of its own: shards are hard links."""
    shutil.copytree(made / "datasets", tmp_path / "datasets")
    return tmp_path / "datasets/pets/v0001"


def damaged(folder: Path) -> list[str]:
    return list(verify(str(folder.parents[2]), f"pets/{folder.name}", json=True)["damaged"])


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def shard_of(folder: Path) -> tuple[Path, list[dict]]:
    shard = sorted((folder / "shards").glob("*.tar"))[0]
    rows = [row for part in sorted((folder / "manifest").glob("*")) for row in pq.read_table(part).to_pylist()]
    return shard, sorted((row for row in rows if row["shard"] == shard.name), key=lambda row: row["offset"])


def test_an_untouched_version_is_whole(folder: Path) -> None:
    assert damaged(folder) == []
    assert damaged(folder.with_name("v0002")) == []


def test_every_file_of_a_version_has_a_checksum(folder: Path) -> None:
    told = json.loads((folder / "dataset.json").read_text())["checksums"]
    there = {str(path.relative_to(folder)) for path in folder.glob("*/*")}
    assert set(told) == there
    assert {name.split("/")[0] for name in told} == {"manifest", "dropped", "conflicts", "shards"}


def test_one_flipped_byte_is_found_wherever_it_is_and_named_with_its_image(folder: Path) -> None:
    shard, rows = shard_of(folder)
    offsets = np.array([row["offset"] - 512 for row in rows])
    for place in np.random.default_rng(0).integers(0, shard.stat().st_size, 40).tolist():
        flip(shard, place)
        (line,) = damaged(folder)
        flip(shard, place)
        row = rows[max(0, int(np.searchsorted(offsets, place, side="right")) - 1)]
        if row["offset"] <= place < row["offset"] + row["length"]:
            assert "the image" in line
        assert row["uri"] in line or "no image of this version has changed" in line


@pytest.mark.parametrize(("shift", "what"), [(-500, "the tar header of"), (0, "the image")])
def test_header_and_image_are_told_apart(folder: Path, shift: int, what: str) -> None:
    shard, rows = shard_of(folder)
    flip(shard, rows[2]["offset"] + shift)
    (line,) = damaged(folder)
    assert what in line
    assert rows[2]["uri"] in line


def test_a_changed_sidecar_is_named(folder: Path) -> None:
    shard, rows = shard_of(folder)
    flip(shard, shard.read_bytes().index(b'{"format"', rows[1]["offset"]) + 12)
    (line,) = damaged(folder)
    assert f"the sidecar {rows[1]['image_id']}.json" in line


def test_a_shard_cut_short_names_the_images_that_were_lost(folder: Path) -> None:
    shard, rows = shard_of(folder)
    shard.write_bytes(shard.read_bytes()[: rows[3]["offset"]])
    lost = {match[1] for line in damaged(folder) if (match := re.search(r"the image (\S+)", line))}
    assert lost == {row["uri"] for row in rows[3:]}


def test_a_missing_shard_is_told_with_its_images(folder: Path) -> None:
    shard, rows = shard_of(folder)
    shard.unlink()
    assert damaged(folder) == [f"shards/{shard.name}: is missing, with {len(rows)} images"]


def test_changed_missing_and_foreign_tables_are_told(folder: Path) -> None:
    manifest, dropped = (sorted((folder / kind).glob("*"))[0] for kind in ("manifest", "dropped"))
    flip(manifest, manifest.stat().st_size // 2)
    assert f"manifest/{manifest.name}: has other bytes than were published" in damaged(folder)
    flip(manifest, manifest.stat().st_size // 2)
    shutil.copy(dropped, dropped.with_name("part-999999.parquet"))
    lines = damaged(folder)
    assert "dropped/part-999999.parquet: is no file of this version" in lines
    dropped.with_name("part-999999.parquet").unlink()
    dropped.unlink()
    assert f"dropped/{dropped.name}: is missing" in damaged(folder)


def test_counts_that_do_not_add_up_are_told(folder: Path) -> None:
    info = json_facts((folder / "dataset.json").read_bytes(), "dataset.json")
    info["counts"]["kept"] += 1
    info["counts"]["reasons"]["dark"] = 7
    (folder / "dataset.json").write_text(json_text(info))
    lines = damaged(folder)
    assert any("kept images, the tables of" in line for line in lines)
    assert any("tells of 7 dark" in line for line in lines)


def test_an_image_that_is_not_what_its_id_names_is_found_though_every_checksum_holds(folder: Path) -> None:
    """As a version would be into which a file was packed that had changed since it was measured."""
    shard, rows = shard_of(folder)
    flip(shard, rows[2]["offset"] + 30)
    info = json_facts((folder / "dataset.json").read_bytes(), "dataset.json")
    info["checksums"][f"shards/{shard.name}"] = hashlib.sha256(shard.read_bytes()).hexdigest()
    (folder / "dataset.json").write_text(json_text(info))
    (line,) = damaged(folder)
    assert line == f"shards/{shard.name}: holds other bytes of {rows[2]['uri']} than its id names, and was published so"
