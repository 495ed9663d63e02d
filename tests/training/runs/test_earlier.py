"""A run outlives the files that it was made from, and a new one beside it is not mistaken for its continuation."""

from pathlib import Path
from typing import Any

import pytest
import torch

from shared.dataset_version import Published
from shared.errors import RecipeError, WorkspaceError
from shared.params import Compute
from shared.storage import Store
from tests.training.vits import invented_weights
from training.params import PretrainParams
from training.runs.earlier import nearest, run_of_same_request
from training.runs.run_folder import RunFolder
from training.stages import pretrain

ON_CPU = Compute(device="cpu", workers=1)
VIT = {"patch_size": 8, "width": 128, "depth": 2, "heads": 2, "layer_scale": 0.1}


def started(tiny: dict[str, Any], file: Path, **changes: Any) -> PretrainParams:
    optim = tiny["optim"] | {"lr": 1e-3} | changes
    return PretrainParams.model_validate(tiny | {"model": VIT, "start": str(file), "optim": optim})


def train(dataset: Published, params: PretrainParams, workspace: Path, run: str) -> dict[str, Any]:
    return pretrain(dataset, params=params, compute=ON_CPU, workspace=workspace, run=run)


def test_a_run_goes_on_where_the_file_that_it_started_from_is_gone(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    file, store = tmp_path / "start.pth", Store(str(tmp_path))
    torch.save(invented_weights().vit, file)
    params = started(tiny, file)
    train(dataset, params, tmp_path, "whole")
    folder = RunFolder(tmp_path / "runs" / "whole")
    last = torch.load(folder.checkpoint(4) / "state.pt", weights_only=True)["student"]
    (folder.checkpoint(4) / "state.pt").write_bytes(b"lost")
    (folder.checkpoint(4) / "checkpoint.json").write_text("{")
    file.unlink()
    assert run_of_same_request(store, dataset, params) == "whole"
    train(dataset, params, tmp_path, "whole")
    again = torch.load(folder.checkpoint(4) / "state.pt", weights_only=True)["student"]
    assert all(torch.equal(again[name], last[name]) for name in last)
    with pytest.raises(WorkspaceError, match="Weights are needed"):
        train(dataset, params, tmp_path, "new")
    with pytest.raises(RecipeError, match=r"whole needs what it was started with.*optim.lr was 0.001, now 0.0005"):
        train(dataset, started(tiny, file, lr=5e-4), tmp_path, "whole")


def test_two_runs_that_differ_in_lost_weights_alone_are_not_told_apart_by_guessing(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path
) -> None:
    file = tmp_path / "start.pth"
    for name, factor in (("one", 1.0), ("two", 2.0)):
        torch.save({key: tensor * factor for key, tensor in invented_weights().vit.items()}, file)
        train(dataset, started(tiny, file), tmp_path, name)
    file.unlink()
    with pytest.raises(RecipeError, match="tell which of one, two is meant"):
        run_of_same_request(Store(str(tmp_path)), dataset, started(tiny, file))


def test_a_longer_request_names_the_run_that_lies_beside_it(
    params: PretrainParams, dataset: Published, tmp_path: Path
) -> None:
    store = Store(str(tmp_path))
    assert nearest(store, dataset, params) is None
    train(dataset, params, tmp_path, "short")
    longer = params.model_copy(update={"optim": params.optim.model_copy(update={"steps": 8, "lr": 1e-3})})
    run = nearest(store, dataset, longer)
    assert run is not None
    assert (run.name, run.step, run.steps) == ("short", 4, 4)
    assert run.changed(longer) == ["optim.lr was 0.004, now 0.001", "optim.steps was 4, now 8"]
    assert nearest(store, dataset, params) is None
    wider = params.model_copy(update={"model": params.model.model_copy(update={"width": 64})})
    assert nearest(store, dataset, wider) is None
