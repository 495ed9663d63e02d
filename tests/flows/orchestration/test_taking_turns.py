"""Runs that take turns, and what a kill leaves of it: the next run begins, whatever server there was."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from conftest import draw_classes

from flows.orchestration import taking_turns
from tests.prefect_home import furnished
from tests.training.tiny import tiny_training
from tests.waiting import started, until

ROOT = Path(__file__).parents[3]


def test_a_temporary_server_is_not_asked_for_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("get_client", "concurrency"):
        monkeypatch.setattr(taking_turns, name, Mock(side_effect=AssertionError("a slot was taken")))
    before = taking_turns.SERVER_ENDS_WITH_US.set(True)
    try:
        with taking_turns.one_at_a_time("training", Mock()):
            pass
    finally:
        taking_turns.SERVER_ENDS_WITH_US.reset(before)


@pytest.mark.slow
def test_a_pipeline_killed_while_it_trains_with_its_server_goes_on_when_it_is_run_again(tmp_path: Path) -> None:
    draw_classes(tmp_path / "photos", 40)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        json.dumps(
            {
                "name": "pets",
                "sources": [{"kind": "folder", "url": str(tmp_path / "photos")}],
                "training": tiny_training(60, checkpoint_every=5, knn_every=0),
                "evaluation": {"evaluations": [{"kind": "effective_rank"}], "baselines": False, "pictures": 0},
                "compute": {"device": "cpu", "workers": 1},
            }
        )
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(furnished(tmp_path / "prefect")),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "flows.cli", "run", str(recipe), "--workspace", str(tmp_path / "w")]
    with started(command, cwd=ROOT, env=environment, start_new_session=True) as process:
        until(lambda: list(tmp_path.glob("w/runs/*/checkpoints/step-*")), "no checkpoint came")
        subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False, timeout=60)
        process.wait(60)
    assert not list(tmp_path.glob("w/runs/*/pretrain.json"))
    # The limit is the claim: a slot that stays taken is waited for without an end.
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "goes on from the checkpoint of step" in done.stdout
