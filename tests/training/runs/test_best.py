"""The best checkpoint is marked and kept; readers and the one who drops checkpoints do not disturb each other."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.dataset_version import Published
from shared.errors import WorkFailedError
from shared.params import Compute
from training.distributed import DistributedContext
from training.eval import evaluate
from training.eval.params import EvaluateParams
from training.loop.pretrain import initial_state
from training.params import PretrainParams
from training.runs import checkpoint
from training.runs.best import best, best_step, mark_best
from training.runs.run_folder import RunFolder
from training.runs.scores import ScoreFolder
from training.stages import pretrain

ON_CPU = Compute(device="cpu", workers=1)


def scored(folder: ScoreFolder, step: int, **values: float) -> None:
    names = {"knn": "top1", "effective_rank": "rank"}
    told = [{"evaluation": key, "metric": names[key], "value": value, "protocol": {}} for key, value in values.items()]
    folder.write(step, {"scores": told, "baselines": {}})


def folders(workspace: Path, steps: list[int]) -> tuple[RunFolder, ScoreFolder]:
    run = RunFolder(workspace / "runs" / "run")
    for step in steps:
        run.checkpoint(step).mkdir(parents=True)
    return run, ScoreFolder(workspace, "run", "told")


def test_knn_on_a_named_set_decides_where_the_dataset_itself_is_not_asked(tmp_path: Path) -> None:
    run, scores = folders(tmp_path, [10, 20])
    for step, value in ((10, 0.4), (20, 0.3)):
        told = {"evaluation": "knn", "metric": "top1", "set": "birds", "value": value, "protocol": {}}
        scores.write(step, {"scores": [told], "baselines": {}})
    mark_best(run, scores)
    assert best(run) == {"step": 10, "by": "knn top1 on birds", "value": 0.4}


def test_the_highest_knn_is_the_best_and_the_later_of_equals(tmp_path: Path) -> None:
    run, scores = folders(tmp_path, [10, 20, 30])
    for step, knn, rank in ((10, 0.5, 9.0), (20, 0.5, 1.0), (30, 0.4, 99.0)):
        scored(scores, step, knn=knn, effective_rank=rank)
    mark_best(run, scores)
    assert best(run) == {"step": 20, "by": "knn top1", "value": 0.5}


def test_without_labels_the_highest_effective_rank_is_the_best(tmp_path: Path) -> None:
    run, scores = folders(tmp_path, [10, 20])
    scored(scores, 10, effective_rank=9.0)
    scored(scores, 20, effective_rank=3.0)
    mark_best(run, scores)
    assert best(run) == {"step": 10, "by": "effective_rank rank", "value": 9.0}


def test_a_checkpoint_that_is_gone_or_scored_otherwise_is_not_the_best(tmp_path: Path) -> None:
    run, scores = folders(tmp_path, [20, 30])
    assert best_step(run) is None
    mark_best(run, scores)
    assert best_step(run) is None
    scored(scores, 10, knn=0.9)
    scored(scores, 20, knn=0.3)
    scored(ScoreFolder(tmp_path, "run", "other params"), 30, knn=0.8)
    mark_best(run, scores)
    assert best_step(run) == 20
    run.checkpoint(20).rmdir()
    assert best_step(run) is None


def test_the_best_checkpoint_outlives_its_turn(tiny: dict[str, Any], dataset: Published, tmp_path: Path) -> None:
    params = PretrainParams.model_validate(tiny | {"checkpoint_every": 1, "keep_checkpoints": 2})
    (tmp_path / "runs" / "run").mkdir(parents=True)
    (tmp_path / "runs" / "run" / "best.json").write_text(json.dumps({"step": 1, "by": "knn top1", "value": 1.0}))
    done = pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")
    assert done["checkpoints"] == [1, 3, 4]


def test_evaluation_marks_the_best_skips_what_vanished_and_scores_baselines_once(
    params: PretrainParams, dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")
    folder = RunFolder(tmp_path / "runs" / "run")
    scores = ScoreFolder(tmp_path, "run", "told")
    arguments = (dataset, EvaluateParams(pictures=2), ON_CPU, folder, scores, params)
    evaluate.evaluate(*arguments, [1, 2])
    assert scores.has(2)
    assert not scores.has(1)
    assert sorted(path.stem for path in (folder.path / "pictures").iterdir()) == ["2", "random_init"]
    monkeypatch.setattr(evaluate, "initial_student", None)
    evaluate.evaluate(*arguments, [4])
    assert scores.read(4)["baselines"] == scores.read(2)["baselines"] != {}  # type: ignore[index]
    assert best(folder)["value"] == max(scores.brief(step)["knn top1"] for step in (2, 4))  # type: ignore[index]


def test_a_reader_finds_a_checkpoint_whole_or_not_at_all_while_others_are_dropped(
    params: PretrainParams, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "runs" / "run")
    state = initial_state(params, DistributedContext(torch.device("cpu"), 0, 1))
    ended, read, failures = threading.Event(), [], []

    def reader() -> None:
        deadline = time.monotonic() + 60
        while not ended.is_set() and time.monotonic() < deadline:
            for step in folder.steps():
                try:
                    read.append(checkpoint.read(folder, step)["step"])
                except checkpoint.GoneError:
                    continue
                except WorkFailedError as failure:
                    failures.append(failure)

    thread = threading.Thread(target=reader)
    thread.start()
    try:
        for step in range(1, 31):
            state.step = step
            checkpoint.save(folder, state, 1, None)
    finally:
        ended.set()
        thread.join(60)
    assert read
    assert not failures
    with pytest.raises(checkpoint.GoneError, match=r"step-00000001 is gone: training keeps its newest checkpoints"):
        checkpoint.read(folder, 1)
    assert [path.name for path in (folder.path / "checkpoints").iterdir()] == ["step-00000030"]
