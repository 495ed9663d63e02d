"""What a person runs into, told in one line that names the thing: no traceback, no raw control characters."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import encoded, picture

from flows.recipe.recipe import load_recipe
from shared.errors import RecipeError, WorkFailedError
from shared.storage import Store, store
from tests.command_line import dinoflow, process_of
from tests.disks import small_disk
from tests.waiting import LIMIT_SECONDS


def test_a_full_disk_is_told_with_the_path_and_the_bytes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "200k") as disk:
        place = Store(str(disk))
        with pytest.raises(
            WorkFailedError, match=rf"{disk}/big needs 300,000 bytes, but its disk is full \(2\d\d,\d+ "
        ):
            place.write("big", bytes(300_000))
        assert place.names("") == []
        photos = tmp_path / "photos"
        photos.mkdir()
        for i in range(60):
            (photos / f"{i}.jpg").write_bytes(encoded(picture(i)))
        done = process_of("pack", "laptop", "--source", photos, "--workspace", disk, "--set", "curation.dedup.near=off")
        assert done.returncode == 1
        assert f"dinoflow: {disk}/" in done.stderr
        assert "but its disk is full" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_disk_that_gets_full_is_told_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path, lasts: bool = True) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "settle", full)
    with pytest.raises(WorkFailedError, match=r"stages/a.parquet needs 5 bytes, but its disk is full"):
        Store(str(tmp_path)).write("stages/a.parquet", b"12345")
    with (
        pytest.raises(WorkFailedError, match=r"shard.tar needs more than the 3 bytes written so far, but its disk"),
        Store(str(tmp_path)).commit("shard.tar") as draft,
    ):
        draft.write_bytes(b"123")


def test_a_store_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = process_of("index", "laptop", "--source", ".", "--workspace", "s3://backbones/work")
    assert done.returncode == 1
    assert done.stderr.startswith("dinoflow: The workspace s3://backbones/work needs a store that answers, got ")
    assert "Traceback" not in done.stderr


def test_a_recipe_that_extends_itself_is_refused_with_the_way_round(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(f"extends: {two}\n")
    two.write_text(f"extends: {one}\n")
    with pytest.raises(RecipeError, match=rf"must not extend itself, got {one} → {two} → {one}. Take one"):
        load_recipe(str(one))
    one.write_text("extends: [laptop]\n")
    with pytest.raises(RecipeError, match=r"must extend one recipe, got \['laptop'\]. Name it: extends: laptop"):
        load_recipe(str(one))


def test_a_recipe_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.yaml").write_bytes(encoded(picture(1)))
    with pytest.raises(RecipeError, match=r"must be text in UTF-8, got other bytes. Give a YAML file"):
        load_recipe(str(tmp_path / "photo.yaml"))
    (tmp_path / "null.yaml").write_bytes(b"name: \x00\x01")
    with pytest.raises(RecipeError, match="is not valid YAML: ") as error:
        load_recipe(str(tmp_path / "null.yaml"))
    assert "\n" not in str(error.value)


def test_a_closed_pipe_ends_the_command_with_one_line(tmp_path: Path) -> None:
    command = f"{sys.executable} -m flows.cli plan laptop --images 1000 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "dinoflow: whoever read the output has closed it. Run the same command again: what is finished is kept.\n"
    )


def test_names_with_escape_sequences_reach_no_terminal(tmp_path: Path) -> None:
    evil = tmp_path / "a\x1b[31m\x07b"
    evil.mkdir()
    done = dinoflow("index", "laptop", "--source", evil, "--workspace", tmp_path / "w")
    assert done.returncode == 2
    assert r"a\x1b[31m\x07b holds none" in done.stderr
    (evil / "\x1b]0;x\x07.jpg").write_bytes(encoded(picture(1)))
    done = process_of(
        "pack", "laptop", "--source", evil, "--workspace", tmp_path / "w", "--set", "curation.dedup.near=off"
    )
    assert done.returncode == 0, done.stderr
    assert not {"\x1b", "\x07"} & set(done.stdout + done.stderr)
