"""A follower scores checkpoints while training goes on, ends with it, and leaves no trace in what is trained."""

import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
import yaml

from flows import follow, pipeline
from flows.cli import app
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.dataset_version import Published
from shared.errors import WorkFailedError
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.launch.worker import Job
from shared.storage import Store
from tests.training.publishing import invented, publish
from tests.training.tiny import tiny_training
from tests.waiting import started
from training.stages import pretrain

TINY = tiny_training(40, checkpoint_every=20, keep_checkpoints=9)
EVALUATION = {"evaluations": ["knn"], "pictures": 2}


def trained(recipe: Recipe, workspace: Path, run: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Pre-training in a process of its own, as long as the block lasts."""
    job = Job(
        stage="training.stages:pretrain",
        params=recipe.training.model_dump(mode="json"),
        compute=recipe.compute,
        source=str(workspace),
        dataset="tiny",
        version="v0001",
        workspace=str(workspace),
        run=run,
    )
    job.folder.mkdir(parents=True)
    path = job.folder / "pretrain.job.json"
    path.write_text(job.model_dump_json())
    return started([sys.executable, "-m", "shared.launch.worker", path], env=os.environ | {"OMP_NUM_THREADS": "1"})


@pytest.mark.slow
def test_training_is_the_same_with_a_follower_which_scores_every_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(follow, "NICENESS", 1)
    compute = {"workers": 1, "device": "cpu"}
    recipe = Recipe.model_validate({"name": "tiny", "training": TINY, "evaluation": EVALUATION, "compute": compute})
    weights = {}
    for name in ("alone", "followed"):
        dataset, store = publish(tmp_path / name, invented(60, classes=4)), Store(str(tmp_path / name))
        session = Session(recipe, store, Inline(), Silent())
        run = pipeline.run_of(session, dataset)
        with trained(recipe, tmp_path / name, run) as training:
            if name == "followed":
                told = follow.follow(session, dataset, run, patience=600)
                assert told["scores"].keys() == {"20", "40", "random_init", "pixels"}
                assert told["best"]["by"] == "knn top1"
                assert "best by knn top1" in store.read(f"runs/{run}/report.html").decode()
                assert f"runs/{run}/report.html" in store.read("report.html").decode()
            assert training.wait(600) == 0
        state = tmp_path / name / "runs" / run / "checkpoints" / "step-00000040" / "state.pt"
        weights[name] = torch.load(state, weights_only=True)
    for part in ("student", "teacher"):
        assert weights["alone"][part].keys() == weights["followed"][part].keys()
        assert all(torch.equal(x, weights["followed"][part][key]) for key, x in weights["alone"][part].items())


def test_the_command_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = publish(tmp_path, invented(4, 2))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"name": "tiny", "training": TINY}))
    best = {"step": 20, "by": "knn top1", "value": 0.5}
    monkeypatch.setattr(follow, "follow", lambda session, published, run, patience: {"best": best, "was": patience})
    arguments = ["evaluate", str(recipe), "--workspace", str(tmp_path), "--follow", "--patience", "7"]
    app([*arguments], exit_on_error=False, result_action="return_value")
    assert f"Following {dataset.name}-{dataset.version}-" in (out := capsys.readouterr().out)
    assert "best checkpoint      step 20 · knn top1 0.500" in out
    app([*arguments, "--json"], exit_on_error=False, result_action="return_value")
    assert json.loads(capsys.readouterr().out)["best"] == best


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

    def evaluate(self, session: Session, _dataset: Published, run: str, niceness: int, stop: Event) -> dict[str, Any]:
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
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.01)
    run.step()
    told = follow.follow(run.session, dataset, run.run, patience=60)
    assert [names[-1][-2:] for names in run.rounds] == ["08", "09", "10"]
    assert told == {"rounds": 3}
    assert run.niceness == {follow.NICENESS}
    assert (run.compute.device, run.compute.workers) == ("cpu", 1)


def test_a_run_that_shows_no_sign_of_life_is_given_up(
    dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Progress(tmp_path, dataset, checkpoints=0, keep=1)
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.01)
    with pytest.raises(WorkFailedError, match=r"needs a run that goes on, got tiny-v0001-\w+ without a sign of life"):
        follow.follow(run.session, dataset, run.run, patience=0.05)


def test_a_follower_that_is_told_to_stop_starts_nothing_more(
    dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, stop = Progress(tmp_path, dataset, checkpoints=5, keep=5), Event()
    run.step()

    def stopped(*arguments: Any, **settings: Any) -> dict[str, Any]:
        stop.set()
        return run.evaluate(*arguments, **settings)

    monkeypatch.setattr(pipeline, "evaluate", stopped)
    assert follow.follow(run.session, dataset, run.run, patience=60, stop=stop) == {"rounds": 1}


def test_a_gang_that_is_told_to_stop_ends_at_once(dataset: Published, tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    long = {"name": "tiny", "training": TINY | {"optim": TINY["optim"] | {"steps": 10**6, "batch_size": 4}}}
    session = Session(Recipe.model_validate(long), Store(str(tmp_path)), Inline(), Silent())
    with pytest.raises(WorkFailedError, match="asked to stop"):
        pipeline._gang(session, pretrain, dataset, pipeline.run_of(session, dataset), stop=stop)
