"""What a run says when it goes on."""

import json
from pathlib import Path
from typing import Any

from training.loop.goes_on import goes_on
from training.runs.run_folder import RunFolder

BEFORE = {
    "steps": 60,
    "processes": 4,
    "batch_size": 64,
    "batch_per_process": 16,
    "images_at_once": 16,
    "koleo_groups_per_process": 1,
    "accumulate": 1,
    "device": "cpu",
    "torch": "2.13.0",
}


def folder(tmp_path: Path, facts: dict[str, Any]) -> RunFolder:
    (tmp_path / "config.json").write_text(json.dumps({"resolved": facts}))
    return RunFolder(tmp_path)


def test_a_run_that_begins_says_nothing_and_one_that_goes_on_from_where(tmp_path: Path) -> None:
    assert goes_on(RunFolder(tmp_path), None, BEFORE, {}) == []
    begun = folder(tmp_path, BEFORE)
    assert goes_on(begun, 40, BEFORE, {}) == ["goes on from the checkpoint of step 40 of 60"]
    (line,) = goes_on(begun, 40, BEFORE, {"TORCHELASTIC_RESTART_COUNT": "2"})
    assert line.endswith("step 40 of 60, in restart 2 of its processes")


def test_a_run_on_another_number_of_processes_says_what_changes_and_what_does_not(tmp_path: Path) -> None:
    now = BEFORE | {"processes": 2, "batch_per_process": 32, "images_at_once": 32, "koleo_groups_per_process": 2}
    _, line, bits = goes_on(folder(tmp_path, BEFORE), 40, now, {})
    assert line == (
        "processes were 4, now 2: for each images of each batch 16 → 32, images at once 16 → 32, "
        "groups of KoLeo 1 → 2; "
        "the batch of 64 images, its order and its groups are the same"
    )
    assert "not bit by bit" in bits


def test_another_device_is_said_and_a_config_of_before_these_facts_is_read(tmp_path: Path) -> None:
    assert "device was cpu, now cuda" in goes_on(folder(tmp_path, BEFORE), 40, BEFORE | {"device": "cuda"}, {})
    assert len(goes_on(folder(tmp_path, {"processes": 4}), 40, BEFORE, {})) == 1
