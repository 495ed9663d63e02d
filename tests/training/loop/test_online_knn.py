"""Online k-NN: a fixed labelled sample, the same vote as in evaluation, and no influence on what is trained."""

from pathlib import Path
from typing import Any

import pytest
import torch

from shared.dataset_version import Published
from shared.params import Compute
from tests.training.publishing import invented, publish
from tests.training.runs.test_runs import contents, run, same_tensors, steps_taken
from training.distributed import DistributedContext
from training.loop.online_knn import OnlineKnn, online_knn
from training.model.student_teacher import initial_student
from training.params import PretrainParams
from training.runs.run_folder import RunFolder

HERE, ON_CPU = DistributedContext(torch.device("cpu"), 0, 1), Compute(device="cpu", workers=1)


def looking(dataset: Published, tiny: dict[str, Any], every: int) -> OnlineKnn | None:
    return online_knn(dataset, PretrainParams.model_validate(tiny | {"knn_every": every}), HERE, ON_CPU)


def test_classes_that_are_easy_to_tell_are_told_and_the_sample_is_the_same_each_time(
    tiny: dict[str, Any], dataset: Published
) -> None:
    online, again = looking(dataset, tiny, 2), looking(dataset, tiny, 2)
    assert online is not None
    assert again is not None
    assert (online.bank.offset == again.bank.offset).all()
    assert not set(online.bank.offset) & set(online.queries.offset)
    student = initial_student(PretrainParams.model_validate(tiny))
    assert online.top1(student) > 0.8  # by colour: nothing has been learnt yet


def test_without_labels_or_with_0_nothing_is_measured(tiny: dict[str, Any], dataset: Published, tmp_path: Path) -> None:
    plain = publish(tmp_path / "plain", [(None, data) for _, data in invented(20, 2)])
    assert looking(plain, tiny, 2) is None
    assert looking(dataset, tiny, 0) is None


def test_the_sample_is_small_beside_the_images_that_are_trained_on_in_between(
    tiny: dict[str, Any], dataset: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.online_knn.LEAST", 5)
    for every, images in ((25, 20), (50, 40), (100_000, 60)):
        online = looking(dataset, tiny, every)
        assert online is not None
        assert len(online.bank) + len(online.queries) <= images


@pytest.mark.slow
def test_measuring_changes_no_bit_of_what_is_trained_and_is_logged_at_both_ends_and_in_between(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for every in (0, 2):
        summary = run(dataset, PretrainParams.model_validate(tiny | {"knn_every": every}), tmp_path, f"every-{every}")
    without, looked = (RunFolder(tmp_path / "runs" / f"every-{every}") for every in (0, 2))
    assert same_tensors(contents(without, 4), contents(looked, 4))
    rows = steps_taken(looked.path)
    assert [row["step"] for row in rows if "knn_top1" in row] == [1, 2, 4]
    assert summary["knn_top1"] == rows[-1]["knn_top1"]
    assert f"k-NN {summary['knn_top1']:.1%}" in capsys.readouterr().out
    assert not any("knn_top1" in row for row in steps_taken(without.path))
    assert all(0 < row["mfu"] < 1 for row in rows)
