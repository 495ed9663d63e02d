"""Whole runs: they resume, stop, survive damage, and are scored."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from PIL import Image

from shared.dataset_version import Published
from shared.errors import RecipeError, WorkFailedError, WorkspaceError
from shared.launch.stop_signals import REQUEUE
from shared.launch.worker import Job
from shared.params import Compute
from tests.training.eval.sets.drawn import class_folders, draw
from tests.training.publishing import invented, publish
from tests.waiting import started, until
from training.distributed import check_precision
from training.eval.params import EvaluateParams
from training.eval.protocols.effective_rank import EffectiveRank
from training.eval.protocols.knn import Knn
from training.eval.protocols.linear import Linear
from training.eval.protocols.uniformity import Uniformity
from training.eval.sets import DatasetSet, FolderSet
from training.loop import train_loop
from training.loop.pretrain import check_batch
from training.params import PretrainParams
from training.runs import checkpoint
from training.runs.run_folder import RunFolder
from training.stages import evaluate, pretrain

ON_CPU = Compute(device="cpu", workers=1)
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def run(dataset: Published, params: PretrainParams, workspace: Path, name: str = "run") -> dict[str, Any]:
    result: dict[str, Any] = pretrain(dataset, params=params, compute=ON_CPU, workspace=workspace, run=name)
    return result


def score(dataset: Published, workspace: Path, **changes: Any) -> dict[str, Any]:
    settings = {"evaluations": (Knn(k=3, also=()), Linear(steps=5), EffectiveRank(), Uniformity())} | changes
    params = EvaluateParams(**settings)
    result: dict[str, Any] = evaluate(dataset, params=params, compute=ON_CPU, workspace=workspace, run="run")
    return result


def steps_taken(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same_tensors(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_tensors(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_tensors, one, other))
    return bool(one == other)


def contents(folder: RunFolder, step: int) -> dict[str, Any]:
    whole = checkpoint.read(folder, step)
    return {key: value for key, value in whole.items() if key != "seconds"}


class Killed(BaseException):
    """Stands for a process that dies at once."""


def die_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    honest = train_loop.take_step

    def dying(state: Any, *rest: Any) -> Any:
        if state.step == step:
            raise Killed
        return honest(state, *rest)

    monkeypatch.setattr(train_loop, "take_step", dying)


def test_a_killed_run_resumes_to_the_same_bits(
    params: PretrainParams, dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(dataset, params, tmp_path, "whole")
    with monkeypatch.context() as patch:
        die_at(patch, 3)
        with pytest.raises(Killed):
            run(dataset, params, tmp_path, "killed")
    whole, killed = (RunFolder(tmp_path / "runs" / name) for name in ("whole", "killed"))
    assert killed.steps() == [2]
    run(dataset, params, tmp_path, "killed")
    assert same_tensors(contents(whole, 4), contents(killed, 4))
    assert [row["loss"] for row in steps_taken(whole.path)] == [row["loss"] for row in steps_taken(killed.path)]


def test_a_damaged_newest_checkpoint_falls_back_to_the_good_one(
    params: PretrainParams, trained: Published, tmp_path: Path
) -> None:
    first = run(trained, params, tmp_path)
    folder = RunFolder(tmp_path / "runs" / "run")
    whole = contents(folder, 4)
    state = folder.checkpoint(4) / checkpoint.STATE
    state.write_bytes(state.read_bytes()[:-100])
    (folder.checkpoint(4) / "checkpoint.json").write_text("{")
    assert checkpoint.last_good(folder) == 2
    with pytest.raises(WorkFailedError, match=r"needs an undamaged checkpoint, got .*step-00000004"):
        checkpoint.read(folder, 4)
    again = run(trained, params, tmp_path)
    assert again["final_loss"] == first["final_loss"]
    assert same_tensors(contents(folder, 4), whole)


def test_a_finished_run_is_not_trained_again(
    params: PretrainParams, trained: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.pretrain.pretrain", None)
    facts = run(trained, params, tmp_path)
    assert facts["images_seen"] == 32
    assert facts["checkpoints"] == [2, 4]


def test_only_the_newest_checkpoints_are_kept(tiny: dict[str, Any], dataset: Published, tmp_path: Path) -> None:
    params = PretrainParams.model_validate(tiny | {"checkpoint_every": 1, "keep_checkpoints": 2})
    assert run(dataset, params, tmp_path)["checkpoints"] == [3, 4]


def test_a_run_leaves_config_metrics_tensorboard_and_a_picture(
    params: PretrainParams, dataset: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(dataset, params, tmp_path)
    folder = tmp_path / "runs" / "run"
    config = json.loads((folder / "config.json").read_text())
    assert config["params"] == params.model_dump(mode="json")
    assert config["resolved"]["peak_lr"] > 0
    rows = steps_taken(folder)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {"loss_dino", "loss_ibot", "loss_koleo", "lr", "grad_norm", "data_wait", "momentum"} <= rows[0].keys()
    assert rows[1]["teacher_effective_rank"] > 1
    assert list((folder / "tensorboard").iterdir())
    assert Image.open(folder / "views.png").width > 100
    assert re.search(r"pretrain +4 steps .*· loss ", capsys.readouterr().out)


def test_a_run_whose_config_holds_former_keys_is_the_same_run(
    tiny: dict[str, Any], params: PretrainParams, dataset: Published, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "runs" / "run")
    former = {key.replace("global", "large").replace("local", "small"): value for key, value in tiny["crops"].items()}
    assert former.keys() != tiny["crops"].keys()
    config = {"params": tiny | {"crops": former}, "dataset": f"{dataset.name} {dataset.version}"}
    folder.path.mkdir(parents=True)
    (folder.path / "config.json").write_text(json.dumps(config))
    folder.check_same(params, dataset, {})
    folder.checkpoint(1).mkdir(parents=True)
    assert folder.params() == params


def test_a_run_under_an_old_name_with_new_params_is_refused(
    params: PretrainParams, trained: Published, tmp_path: Path
) -> None:
    other = params.model_copy(update={"seed": 1})
    with pytest.raises(RecipeError, match="seed was 0, now 1"):
        run(trained, other, tmp_path)


def test_requests_that_cannot_be_met_say_what_to_do(
    params: PretrainParams, trained: Published, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(RecipeError, match=r"at least one batch of images .* = 8\), got 5"):
        check_batch(params, 5, 1)
    with pytest.raises(RecipeError, match=r"multiple of the 3 processes, got 8. Set it to 9"):
        check_batch(params, 100, 3)
    with pytest.raises(RecipeError, match=r"multiple of objective.koleo_group = 4 images, got 2"):
        check_batch(params, 100, 4)
    with pytest.raises(RecipeError, match="fp16 needs a GPU, got the device cpu"):
        check_precision(torch.device("cpu"), "fp16")
    with pytest.raises(WorkspaceError, match=r"needs a run with a checkpoint.*dinoflow pretrain"):
        score(trained, tmp_path_factory.mktemp("empty"))
    with pytest.raises(RecipeError, match=r"multiple of run step 2's patch size 8, got 30. Set it to 24"):
        score(trained, tmp_path, image_size=30)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has what the request needs")
def test_asking_for_an_absent_gpu_is_refused(params: PretrainParams, dataset: Published, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cuda needs an NVIDIA GPU"):
        pretrain(dataset, params=params, compute=Compute(device="cuda"), workspace=tmp_path, run="run")


def test_every_checkpoint_is_scored_once_beside_two_baselines(trained: Published, tmp_path: Path) -> None:
    first = score(trained, tmp_path)
    assert first["scored"] == [2, 4]
    assert first["scores"].keys() == {"2", "4", "random_init", "pixels"}
    facts = json.loads((tmp_path / "evaluations" / "run" / "4.json").read_text())
    assert (facts["run"], facts["step"], facts["dataset"]) == ("run", 4, "tiny v0001")
    assert {s["evaluation"] for s in facts["baselines"]["pixels"]} == {
        "knn",
        "linear",
        "effective_rank",
        "uniformity",
    }
    protocol = facts["scores"][0]["protocol"]
    assert protocol["bank"] + protocol["queries"] == 60
    assert protocol["image_size"] == 32
    assert score(trained, tmp_path)["scored"] == []
    assert score(trained, tmp_path, evaluations=(Knn(temperature=0.1),))["scored"] == [2, 4]


def test_a_damaged_checkpoint_is_named_and_the_others_are_scored(
    trained: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, asked = RunFolder(tmp_path / "runs" / "run"), EvaluateParams(evaluations=("effective_rank",), pictures=0)
    states = [folder.checkpoint(step) / checkpoint.STATE for step in (2, 4)]
    whole = [state.read_bytes() for state in states]
    states[0].write_bytes(whole[0][:-100] + bytes(100))
    facts = evaluate(trained, params=asked, compute=ON_CPU, workspace=tmp_path, run="run")
    assert facts["scored"] == [4]
    assert "step 2 is left out: Reading a run needs an undamaged checkpoint" in capsys.readouterr().out
    states[0].write_bytes(whole[0])
    facts = evaluate(trained, params=asked, compute=ON_CPU, workspace=tmp_path, run="run")
    assert facts["scored"] == [2]


def test_without_labels_what_needs_none_is_told_and_the_lack_is_said(params: PretrainParams, tmp_path: Path) -> None:
    dataset = publish(tmp_path, [(None, data) for _, data in invented(40, 2)])
    run(dataset, params, tmp_path)
    assert score(dataset, tmp_path)["scores"]["4"].keys() == {"effective_rank rank", "uniformity loss"}
    facts = json.loads((tmp_path / "evaluations" / "run" / "4.json").read_text())
    assert facts["note"] == "knn was left out: it needs labels · linear was left out: it needs labels"


def test_checkpoints_are_scored_on_other_sets_too_and_anew_when_those_change(
    trained: Published, tmp_path: Path
) -> None:
    class_folders(tmp_path / "pets" / "train", 3)
    class_folders(tmp_path / "pets" / "test", 2, first=500)
    knn: dict[str, Any] = {
        "evaluations": (Knn(k=3, also=()),),
        "sets": (DatasetSet(), FolderSet(url=str(tmp_path / "pets"))),
    }
    told = score(trained, tmp_path, **knn)
    assert told["scores"]["4"].keys() == told["scores"]["pixels"].keys() == {"knn top1", "knn top1 on pets"}
    assert score(trained, tmp_path, **knn)["scored"] == []
    draw(tmp_path / "pets" / "train" / "cats" / "new.jpg", 7)
    assert score(trained, tmp_path, **knn)["scored"] == [2, 4]


def job(dataset: Published, workspace: Path, name: str, stage: str, params: dict[str, Any]) -> Path:
    made = Job(
        stage=f"training.stages:{stage}",
        params=params,
        compute=ON_CPU,
        source=str(workspace),
        dataset=dataset.name,
        version=dataset.version,
        workspace=str(workspace),
        run=name,
    )
    made.folder.mkdir(parents=True, exist_ok=True)
    path = made.folder / f"{stage}.job.json"
    path.write_text(made.model_dump_json())
    return path


def gang(path: Path, processes: int = 1) -> list[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *(torchrun if processes > 1 else []), "-m", "shared.launch.worker", str(path)]


@pytest.mark.slow
def test_two_processes_train_and_evaluate_as_one(tiny: dict[str, Any], dataset: Published, tmp_path: Path) -> None:
    model = tiny["model"] | {"drop_path": 0.3, "drop_path_rule": "uniform"}
    optim = tiny["optim"] | {"steps": 20}
    changed = {"model": model, "optim": optim, "checkpoint_every": 10, "knn_every": 10}
    params = PretrainParams.model_validate(tiny | changed)
    run(dataset, params, tmp_path)
    alone = score(dataset, tmp_path, evaluations=(EffectiveRank(),), baselines=False)
    for stage, given in (
        ("pretrain", params.model_dump(mode="json")),
        ("evaluate", {"evaluations": ["effective_rank"], "baselines": False}),
    ):
        path = job(dataset, tmp_path, "two", stage, given)
        subprocess.run(gang(path, 2), check=True, capture_output=True, timeout=120, env=ONE_THREAD)
    one, two = (steps_taken(tmp_path / "runs" / name) for name in ("run", "two"))
    for loss in ("loss", "loss_dino", "loss_ibot", "loss_koleo"):
        assert [row[loss] for row in one[:1]] == pytest.approx([row[loss] for row in two[:1]], rel=1e-5)
        assert [row[loss] for row in one] == pytest.approx([row[loss] for row in two], abs=1e-4)
    assert len(one) == 20
    looks = [{row["step"]: row["knn_top1"] for row in rows if "knn_top1" in row} for rows in (one, two)]
    assert list(looks[0]) == [1, 10, 20]
    assert looks[0] == pytest.approx(looks[1], abs=0.2)  # one query in five may change sides
    together = json.loads((tmp_path / "runs" / "two" / "evaluate.json").read_text())
    assert together["scored"] == [10, 20]
    for step in ("10", "20"):
        ranks = [facts["scores"][step]["effective_rank rank"] for facts in (alone, together)]
        assert ranks[0] == pytest.approx(ranks[1], rel=1e-3)


def everyone(process: subprocess.Popen[Any], number: int) -> None:
    """Signal a process and all that it started, as clusters do."""
    for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(number)


def supervisor_alone(process: subprocess.Popen[Any], number: int) -> None:
    process.send_signal(number)


@pytest.mark.parametrize(
    ("processes", "number", "to"),
    [
        (1, signal.SIGUSR1, everyone),
        pytest.param(2, signal.SIGUSR1, everyone, marks=pytest.mark.slow),
        (2, signal.SIGTERM, supervisor_alone),
    ],
)
def test_a_run_that_is_asked_to_stop_saves_whoever_gets_the_signal_and_says_requeue(
    tiny: dict[str, Any],
    dataset: Published,
    tmp_path: Path,
    processes: int,
    number: int,
    to: Callable[[subprocess.Popen[Any], int], None],
) -> None:
    slow = tiny["crops"] | {"global_size": 96, "local_count": 24, "shrink": 0}  # a signal comes in the midst of a step
    long = tiny | {"optim": tiny["optim"] | {"steps": 5000}, "checkpoint_every": 10000, "crops": slow}
    path = job(dataset, tmp_path, "long", "pretrain", long)
    metrics = path.parent / "metrics.jsonl"
    command = [sys.executable, "-m", "shared.launch.supervisor", *gang(path, processes)]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ONE_THREAD) as process:
        until(lambda: process.poll() is not None or (metrics.exists() and metrics.read_text()), "no step was taken")
        to(process, number)
        out, _ = process.communicate(timeout=90)
    folder = RunFolder(tmp_path / "runs" / "long")
    assert process.returncode == REQUEUE
    assert folder.steps(), out
    assert f"stopped at step {folder.steps()[0]}/5000 · saved · run it again to go on" in out
    assert not (folder.path / "pretrain.json").exists()
    assert checkpoint.last_good(folder) == folder.steps()[0] == len(steps_taken(folder.path))
