"""A follower scores checkpoints while training goes on, ends with it, and leaves no trace in what is trained."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from flows import following, pipeline
from flows.recipe import Recipe
from flows.session import Session, Silent
from shared.errors import WorkFailedError
from shared.executors import Inline
from shared.published import Published
from shared.storage import Store
from tests.training.publishing import invented, publish

TINY = {
    "model": {"patch_size": 8, "width": 32, "depth": 2, "heads": 2, "layer_scale": 0.1, "drop_path": 0.1},
    "crops": {"large_size": 32, "small_size": 16, "small_count": 2, "shrink": 40},
    "objective": {"prototypes": 64, "head_hidden": 48, "bottleneck": 16, "koleo_group": 4},
    "optim": {"steps": 40, "batch_size": 8, "warmup_steps": 1, "precision": "fp32", "freeze_prototypes": 1},
    "checkpoint_every": 20,
    "keep_checkpoints": 9,
}
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def started(command: str, recipe: Path, workspace: Path, *more: str) -> subprocess.Popen[str]:
    arguments = [command, str(recipe), "--workspace", str(workspace), "--json", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *arguments], stdout=subprocess.PIPE, text=True, env=ONE_THREAD
    )


def facts(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    told: dict[str, Any] = json.loads(out.splitlines()[-1])
    return told


def test_training_is_the_same_with_a_follower_which_scores_every_checkpoint(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"name": "tiny", "training": TINY, "compute": {"workers": 1, "device": "cpu"}}))
    weights = {}
    for name in ("alone", "followed"):
        publish(tmp_path / name, invented(60, classes=4))
        follower = started("evaluate", recipe, tmp_path / name, "--follow") if name == "followed" else None
        run = facts(started("pretrain", recipe, tmp_path / name))["run"]
        state = tmp_path / name / "runs" / run / "checkpoints" / "step-00000040" / "state.pt"
        weights[name] = torch.load(state, weights_only=True)
        if follower:
            told = facts(follower)
            scored = {path.stem for path in (tmp_path / name / "evaluations" / run).glob("*.json")}
            assert scored == {"20", "40"}
            assert told["best"]["by"] == "knn top1"
            page = Path(told["report"]).read_text()
            assert "best by knn top1" in page
            assert f"runs/{run}/report.html" in (tmp_path / name / "report.html").read_text()
    for part in ("student", "teacher"):
        assert weights["alone"][part].keys() == weights["followed"][part].keys()
        assert all(torch.equal(x, weights["followed"][part][key]) for key, x in weights["alone"][part].items())


class Progress:
    """A run that takes a step forward whenever it is evaluated; evaluation is noted and not done."""

    def __init__(self, workspace: Path, dataset: Published, checkpoints: int, keep: int) -> None:
        self.store = Store(str(workspace))
        self.session = Session(Recipe(name=dataset.name), self.store, Inline(), Silent())
        self.run = pipeline.run_of(self.session, dataset)
        self.left, self.keep, self.rounds = checkpoints, keep, list[list[str]]()
        self.niceness = set[int]()
        self.compute = self.session.recipe.compute

    def step(self) -> None:
        there = self.store.names(f"runs/{self.run}/checkpoints")
        if not self.left:
            self.store.write(f"runs/{self.run}/pretrain.json", "{}")
            return
        self.left -= 1
        self.store.write(f"runs/{self.run}/checkpoints/step-{10 - self.left:08d}/state.pt", b"")
        for old in there[: -self.keep]:
            self.store.fs.rm(self.store.path("runs", self.run, "checkpoints", old), recursive=True)

    def evaluate(self, session: Session, _dataset: Published, run: str, niceness: int) -> dict[str, Any]:
        assert run == self.run
        self.rounds.append(self.store.names(f"runs/{run}/checkpoints"))
        self.niceness.add(niceness)
        self.compute = session.recipe.compute
        self.step()
        return {"rounds": len(self.rounds)}


@pytest.fixture
def dataset(tmp_path: Path) -> Published:
    return publish(tmp_path, invented(4, 2))


def test_new_checkpoints_are_scored_as_they_come_and_the_follower_ends_with_the_run(
    dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Progress(tmp_path, dataset, checkpoints=3, keep=1)
    monkeypatch.setattr(pipeline, "evaluate", run.evaluate)
    monkeypatch.setattr(following.time, "sleep", lambda _: run.step() if not run.rounds else None)
    told = following.follow(run.session, dataset, run.run, patience=60)
    assert [names[-1][-2:] for names in run.rounds] == ["08", "09", "10"]
    assert told == {"rounds": 3}
    assert run.niceness == {following.NICENESS}
    assert (run.compute.device, run.compute.workers) == ("cpu", 1)


def test_a_run_that_shows_no_sign_of_life_is_given_up(
    dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Progress(tmp_path, dataset, checkpoints=0, keep=1)
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.01)
    with pytest.raises(WorkFailedError, match=r"needs a run that goes on, got tiny-v0001-\w+ without a sign of life"):
        following.follow(run.session, dataset, run.run, patience=0.05)


def test_a_follower_ends_when_it_is_told_to(
    dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Progress(tmp_path, dataset, checkpoints=5, keep=5)
    monkeypatch.setattr(pipeline, "evaluate", run.evaluate)
    assert following.follow(run.session, dataset, run.run, patience=60, ended=lambda: True) == {"rounds": 1}
