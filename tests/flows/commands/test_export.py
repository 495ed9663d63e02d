"""`dinoflow export` as a person meets it; what is in the files is tests/training/test_export.py's claim."""

import json
import os
from pathlib import Path

import pytest

from flows.commands.export import export_run
from shared.errors import UserError, WorkspaceError
from tests.command_line import dinoflow, process_of
from tests.training.vits import invented_weights, write_run


def exported(workspace: Path, run: str | None = None, step: int | None = None, **settings) -> dict:
    settings = {"to": None, "formats": "timm", "image_size": 0, "as_json": False} | settings
    return export_run(str(workspace), run, step, **settings)


def test_the_newest_run_and_checkpoint_are_taken_unless_others_are_named(tmp_path):
    weights = invented_weights(depth=1)
    old = write_run(tmp_path, weights, step=5, name="old")
    write_run(tmp_path, weights, step=12, name="old")
    write_run(tmp_path, weights, name="new")
    assert exported(tmp_path)["run"] == "new"
    assert exported(tmp_path, "old")["step"] == 12
    assert exported(tmp_path, "old", 5)["export"] == str(old / "exports/step-5")
    assert exported(tmp_path / "elsewhere", str(old))["run"] == "old"
    to = tmp_path / "shared"
    assert exported(tmp_path, "new", to=str(to), formats="transformers, timm")["formats"].keys() == {
        "timm",
        "transformers",
    }
    assert {"timm", "transformers", "heads.safetensors", "README.md"} == set(os.listdir(to))


def test_wrong_requests_say_what_there_is(tmp_path):
    with pytest.raises(WorkspaceError, match=r"no run with a checkpoint in .*Run `dinoflow pretrain` first"):
        exported(tmp_path)
    write_run(tmp_path, invented_weights(depth=1))
    with pytest.raises(WorkspaceError, match=r"There is no run walk with a checkpoint. Runs in .*: run\."):
        exported(tmp_path, "walk")
    with pytest.raises(UserError, match=r"no checkpoint of step 7. Choose one of: 6\."):
        exported(tmp_path, step=7)
    with pytest.raises(UserError, match="takes timm, transformers, onnx with commas between, got 'tensorflow'"):
        exported(tmp_path, formats="timm,tensorflow")
    with pytest.raises(WorkspaceError, match=r"a folder on a disk for --to, got s3://bucket/exports"):
        exported(tmp_path, to="s3://bucket/exports")


def test_the_command_says_where_everything_is_as_text_and_as_one_object(tmp_path):
    run = write_run(tmp_path, invented_weights(depth=1))
    told = process_of("export", "run", "--workspace", tmp_path, "--formats", "timm")
    assert told.returncode == 0, told.stderr
    assert f"timm          {run}/exports/step-6/timm" in told.stdout
    assert "Next: the card has the code" in told.stdout
    told = dinoflow("export", run, "--formats", "timm", "--image-size", 48, "--json")
    facts = json.loads(told.stdout)
    assert (facts["step"], facts["image_size"]) == (6, 48)
    assert Path(facts["card"]).is_file()
    told = dinoflow("export", run, "--formats", "timm", "--image-size", 47)
    assert (told.returncode, "multiple of its patch size 8, got 47" in told.stderr) == (2, True)
