"""Steps whose loss or gradient is not finite: left out, named, gone back from, and in the end told in a sentence."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from shared.dataset_version import Published
from shared.errors import WorkFailedError
from shared.launch.worker import Job, work
from shared.params import Compute
from tests.training.together import as_ranks
from training.data.index import SampleIndex
from training.data.loader import batches
from training.distributed import DistributedContext
from training.loop.pretrain import initial_state
from training.loop.train_step import take_step
from training.loss import losses
from training.params import PretrainParams
from training.params.resolved import resolved
from training.runs import checkpoint
from training.runs.run_folder import RunFolder
from training.stages import pretrain

ON_CPU = Compute(device="cpu", workers=1)
ALONE = DistributedContext(torch.device("cpu"), 0, 1)


def run(dataset: Published, params: PretrainParams, workspace: Path) -> dict[str, Any]:
    result: dict[str, Any] = pretrain(dataset, params=params, compute=ON_CPU, workspace=workspace, run="run")
    return result


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def request(tiny: dict[str, Any], **changes: Any) -> PretrainParams:
    optim = tiny["optim"] | {"steps": 8, "bad_steps": 3} | changes
    return PretrainParams.model_validate(tiny | {"optim": optim, "rank_every": 1, "keep_checkpoints": 9})


def failing(at: Callable[[int], bool]) -> Callable[..., Tensor]:
    """The DINO loss, NaN in the calls (counted from 1) that are named."""
    honest, calls = losses.dino_loss, iter(range(1, 1000))

    def loss(*arguments: Any) -> Tensor:
        return honest(*arguments) * (float("nan") if at(next(calls)) else 1.0)

    return loss


def test_after_a_bad_stretch_the_run_goes_back_and_takes_other_samples(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "dino_loss", failing(lambda call: 4 <= call <= 6))
    params, folder = request(tiny), RunFolder(tmp_path / "runs" / "run")
    done = run(dataset, params, tmp_path)
    assert (done["times_gone_back"], done["skipped_steps"], done["steps"]) == (1, 3, 8)
    taken = rows(folder.path / "metrics.jsonl")
    assert [row["step"] for row in taken] == list(range(1, 9))
    assert [row.get("order", 0) for row in taken] == [0, 0, 1, 1, 1, 1, 1, 1]
    left_out = rows(folder.path / "bad_steps.jsonl")
    assert [(row["step"], row["ranks"], row["not_finite"]) for row in left_out] == [(n, [0], "loss") for n in (4, 5, 6)]
    index = SampleIndex(dataset, 0)
    assert left_out[0]["uris"] == index.uris([ref.row for ref in index.refs(list(range(24, 32)))])
    manifest = dataset.table("manifest", ["uri", "offset"]).to_pylist()
    first = index.refs([24])[0]
    assert left_out[0]["uris"][0] == next(row["uri"] for row in manifest if row["offset"] == first.offset)


def test_another_order_shows_other_samples(params: PretrainParams, dataset: Published) -> None:
    index = SampleIndex(dataset, 0)
    whole = resolved(params, len(index))
    first, other = (next(batches(index, whole, start=2, context=ALONE, workers=0, order=order)) for order in (0, 1))
    assert not torch.equal(first.global_crops, other.global_crops)


def test_what_is_never_finite_changes_nothing_and_ends_in_a_sentence(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "dino_loss", failing(lambda call: True))
    with pytest.raises(WorkFailedError, match=r"got 3 bad steps in a row up to step 3, and no good checkpoint to go"):
        run(dataset, request(tiny), tmp_path)
    folder, params = RunFolder(tmp_path / "runs" / "run"), request(tiny)
    assert "made after 2 steps in a row that were left out" in str(folder.fault(2))
    student = initial_state(params, ALONE).student.state_dict()
    saved = torch.load(folder.checkpoint(2) / "state.pt", weights_only=True)
    for name, tensor in student.items():
        assert torch.equal(saved["student"][name], tensor)
        assert torch.equal(saved["teacher"][name], tensor)


def test_a_run_goes_back_twice_to_one_checkpoint_and_then_stops(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "dino_loss", failing(lambda call: call > 2))
    with pytest.raises(WorkFailedError, match=r"up to step 5, also after going back 2 times to step 2 .*Lower"):
        run(dataset, request(tiny), tmp_path)
    assert [row["order"] for row in rows(tmp_path / "runs" / "run" / "bad_steps.jsonl")] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_rate_that_blows_up_the_weights_ends_in_a_sentence_and_leaves_no_good_checkpoint_of_it(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    optim = tiny["optim"] | {"steps": 8, "bad_steps": 3, "lr": 1e30, "lr_rule": "none"}
    params = PretrainParams.model_validate(tiny | {"optim": optim, "rank_every": 1, "checkpoint_every": 1})
    with pytest.raises(WorkFailedError, match="Pre-training needs finite losses and gradients, got 3 bad steps"):
        run(dataset, params, tmp_path)
    folder = RunFolder(tmp_path / "runs" / "run")
    good = checkpoint.last_good(folder)
    assert any("a weight is as large as" in str(folder.fault(step)) for step in folder.steps())
    assert good is None or checkpoint.read(folder, good)["student"]["backbone.vit.cls_token"].abs().max() < 100


@pytest.mark.parametrize(("scale", "trouble", "skipped"), [(1e38, "scaler", 0), (0.5, "gradient", 1)])
def test_finding_the_scale_of_fp16_is_no_bad_step(
    params: PretrainParams, dataset: Published, scale: float, trouble: str, skipped: int
) -> None:
    index = SampleIndex(dataset, 0)
    whole = resolved(params, len(index))
    state = initial_state(params, ALONE)
    state.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    if skipped:  # a gradient that no scale can mend
        next(state.student.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    report = take_step(
        state, state.student, next(batches(index, whole, start=0, context=ALONE, workers=0)), whole, ALONE, False
    )
    assert (report.taken, report.trouble, report.bad, state.skipped) == (False, trouble, bool(skipped), skipped)


def work_where_rank_1_fails(path: Path) -> None:
    if os.environ["RANK"] == "1":
        losses.dino_loss = failing(lambda call: 4 <= call <= 6)
    work(path)


def test_of_two_ranks_the_one_where_it_began_is_named_and_both_go_back(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    job = Job(
        stage="training.stages:pretrain",
        params=request(tiny).model_dump(mode="json"),
        compute=ON_CPU,
        source=str(tmp_path),
        dataset=dataset.name,
        version=dataset.version,
        workspace=str(tmp_path),
        run="run",
    )
    job.folder.mkdir(parents=True)
    (tmp_path / "job.json").write_text(job.model_dump_json())
    as_ranks(work_where_rank_1_fails, tmp_path / "job.json")
    left_out = rows(job.folder / "bad_steps.jsonl")
    assert [(row["step"], row["ranks"], row["not_finite"]) for row in left_out] == [(n, [1], "loss") for n in (4, 5, 6)]
    index = SampleIndex(dataset, 0)
    assert left_out[0]["uris"] == index.uris([ref.row for ref in index.refs(list(range(28, 32)))])
    assert [row.get("order", 0) for row in rows(job.folder / "metrics.jsonl")] == [0, 0, 1, 1, 1, 1, 1, 1]
