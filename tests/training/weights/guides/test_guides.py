"""A run that is guided by frozen models: what it meets, that it learns, that it resumes to the bit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from shared.dataset_version import Published
from shared.errors import RecipeError
from shared.params import Compute
from tests.training.vits import invented_weights, write_run
from training.model.frozen import CentredHead, PlainHead
from training.params import PretrainParams
from training.runs.run_folder import RunFolder
from training.stages import content_of_weights, pretrain
from training.weights import read_weights

ON_CPU = Compute(device="cpu", workers=1)
VIT = {"patch_size": 8, "width": 128, "depth": 2, "heads": 2, "layer_scale": 0.1}


@pytest.fixture
def larger(tmp_path: Path) -> Path:
    """A teacher that is wider than the student and has patches of another size."""
    weights = invented_weights(patch_size=4, width=192, heads=3)
    torch.save({**weights.vit, "mask_token": weights.mask_token}, tmp_path / "teacher.pth")
    return tmp_path / "teacher.pth"


def by_features(tiny: dict[str, Any], teacher: Path, centred: bool = False, **optim: Any) -> PretrainParams:
    objective = {"distil": {"teacher": str(teacher), "centred": centred}, "koleo_weight": 0}
    changed = {"crops": tiny["crops"] | {"local_count": 0}, "objective": tiny["objective"] | objective}
    return PretrainParams.model_validate(tiny | changed | {"optim": tiny["optim"] | optim})


def by_prototypes(tiny: dict[str, Any], teacher: Path, masked: bool = False, **changes: Any) -> PretrainParams:
    distil = {"teacher": str(teacher), "targets": "prototypes", "masked": masked}
    objective = tiny["objective"] | {"separate_heads": True, "distil": distil} | changes
    return PretrainParams.model_validate(tiny | {"objective": objective})


def with_gram(tiny: dict[str, Any], start: Path) -> PretrainParams:
    optim = tiny["optim"] | {"lr": 1e-3}
    changed = {"model": VIT, "start": str(start), "optim": optim}
    return PretrainParams.model_validate(tiny | changed | {"objective": tiny["objective"] | {"gram": {"weight": 2.0}}})


def train(dataset: Published, params: PretrainParams, workspace: Path, run: str) -> list[dict[str, Any]]:
    pretrain(dataset, params=params, compute=ON_CPU, workspace=workspace, run=run)
    return [json.loads(line) for line in (workspace / "runs" / run / "metrics.jsonl").read_text().splitlines()]


def test_a_student_comes_nearer_to_a_larger_teachers_features(
    tiny: dict[str, Any], dataset: Published, larger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = train(dataset, by_features(tiny, larger, steps=30, lr=2e-2), tmp_path, "run")
    assert "distils from  " in capsys.readouterr().out
    first, last = (sum(row["loss_dino"] + row["loss_ibot"] for row in part) / 5 for part in (rows[:5], rows[-5:]))
    assert last < 0.7 * first
    assert "prototype_entropy" not in rows[0]
    weights = read_weights(str(tmp_path / "runs" / "run"))
    assert weights.model.width == 32


@pytest.mark.parametrize("masked", [False, True])
def test_prototypes_of_a_teacher_without_heads_are_told_apart(
    tiny: dict[str, Any], dataset: Published, larger: Path, tmp_path: Path, masked: bool
) -> None:
    """Targets that were all alike would have the entropy of all prototypes."""
    rows = train(dataset, by_prototypes(tiny, larger, masked), tmp_path, "run")
    assert rows[0]["target_entropy"] < 0.9 * torch.tensor(64.0).log()
    drawn = torch.load(RunFolder(tmp_path / "runs/run").checkpoint(4) / "state.pt", weights_only=True)["drawn"]
    assert drawn["0.prototypes.weight"].shape == (64, 192)
    assert drawn["1.mean_F"].abs().sum() > 0


def test_a_run_of_this_pipeline_teaches_with_its_own_heads(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    teacher = write_run(tmp_path, invented_weights(), name="teacher")
    with pytest.raises(RecipeError, match=r"as many prototypes as the teacher.*8 in its head, got 64"):
        train(dataset, by_prototypes(tiny, teacher), tmp_path, "run")
    train(dataset, by_prototypes(tiny, teacher, prototypes=8), tmp_path, "run")
    state = torch.load(RunFolder(tmp_path / "runs/run").checkpoint(4) / "state.pt", weights_only=True)
    assert "drawn" not in state


def test_gram_anchoring_holds_what_the_run_started_from(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    weights = invented_weights()
    torch.save({**weights.vit, "mask_token": weights.mask_token}, tmp_path / "start.pth")
    params = with_gram(tiny, tmp_path / "start.pth")
    rows = train(dataset, params, tmp_path, "run")
    unmasked = params.model_copy(update={"objective": params.objective.model_copy(update={"mask_share": 0.0})})
    assert all(row["loss_gram"] > 0 for row in rows)
    first = train(dataset, unmasked, tmp_path, "unmasked")[0]
    assert first["loss_gram"] < 1e-3 < rows[0]["loss_gram"]  # at first only masks change what patches resemble


def test_centred_features_are_what_images_differ_in(
    tiny: dict[str, Any], dataset: Published, larger: Path, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(500, 64, generator=generator) + 20 * torch.randn(64, generator=generator)
    centred = CentredHead(64)
    centred.mean_F.copy_(rows.mean(dim=0))
    assert PlainHead()(rows).mean(dim=0).norm() > 0.99  # all rows are nearly one
    assert centred(rows).mean(dim=0).norm() < 0.02
    train(dataset, by_features(tiny, larger, centred=True), tmp_path, "run")
    drawn = torch.load(RunFolder(tmp_path / "runs/run").checkpoint(4) / "state.pt", weights_only=True)["drawn"]
    assert drawn.keys() == {"0.mean_F", "1.mean_F"}
    assert all(mean_F.shape == (192,) and mean_F.abs().sum() > 0 for mean_F in drawn.values())


@pytest.mark.parametrize("kind", ["features", "centred", "prototypes", "gram"])
def test_a_guided_run_resumes_to_the_bit_when_the_files_are_gone(
    tiny: dict[str, Any], dataset: Published, larger: Path, tmp_path: Path, kind: str
) -> None:
    start = tmp_path / "start.pth"
    torch.save(invented_weights().vit, start)
    params = {
        "features": lambda: by_features(tiny, larger),
        "centred": lambda: by_features(tiny, larger, centred=True),
        "prototypes": lambda: by_prototypes(tiny, larger),
        "gram": lambda: with_gram(tiny, start),
    }[kind]()
    train(dataset, params, tmp_path, "run")
    last = RunFolder(tmp_path / "runs" / "run").checkpoint(4)
    whole = torch.load(last / "state.pt", weights_only=True)
    (last / "checkpoint.json").write_text("{")
    larger.unlink()
    start.unlink()
    train(dataset, params, tmp_path, "run")
    again = torch.load(last / "state.pt", weights_only=True)
    for part in ("student", "teacher"):
        assert all(torch.equal(again[part][name], whole[part][name]) for name in whole[part])


def test_a_teacher_names_the_run_by_its_content_not_by_its_place(
    tiny: dict[str, Any], larger: Path, tmp_path: Path
) -> None:
    moved = larger.rename(tmp_path / "moved.pth")
    torch.save(torch.load(moved, weights_only=True), larger)
    one, other = by_features(tiny, larger), by_features(tiny, moved)
    assert one.identity() == other.identity()
    assert content_of_weights(one) == content_of_weights(other)
    torch.save(invented_weights().vit, moved)
    assert content_of_weights(one) != content_of_weights(other)


def test_requests_that_cannot_be_met_are_refused_before_work(tiny: dict[str, Any]) -> None:
    def given(**objective: Any) -> PretrainParams:
        return PretrainParams.model_validate(tiny | {"objective": tiny["objective"] | objective})

    with pytest.raises(ValidationError, match=r"needs crops.local_count: 0, got 2"):
        given(distil={"teacher": "a"})
    with pytest.raises(ValidationError, match="centred is for targets: features, got prototypes"):
        given(distil={"teacher": "a", "targets": "prototypes", "centred": True}, separate_heads=True)
    with pytest.raises(ValidationError, match="needs separate_heads: true"):
        given(distil={"teacher": "a", "targets": "prototypes"})
    with pytest.raises(ValidationError, match="needs weights to start from, or a teacher of its own"):
        given(gram={})
