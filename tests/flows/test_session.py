"""What a request names is there before work starts, and a run near it is pointed to."""

from pathlib import Path
from typing import Any

import pytest
import torch

from flows.commands.console import Console
from flows.pipeline import pretrain, run_of
from flows.recipe.recipe import Recipe, load_recipe
from flows.session import Session
from shared.errors import RecipeError, WorkspaceError
from shared.launch.executors import Inline
from shared.storage import Store
from tests.training.publishing import invented, publish
from tests.training.vits import invented_weights
from training.params import PretrainParams

TINY: dict[str, Any] = {
    "model": {"patch_size": 8, "width": 128, "depth": 2, "heads": 2, "layer_scale": 0.1, "drop_path": 0.0},
    "crops": {"global_size": 32, "local_size": 16, "local_count": 1},
    "objective": {"prototypes": 16, "head_hidden": 16, "bottleneck": 8, "koleo_group": 4},
    "optim": {"steps": 2, "batch_size": 8, "warmup_steps": 1, "lr": 1e-4, "lr_rule": "none"},
    "knn_every": 0,
}


def session(store: Store, **training: Any) -> Session:
    params = PretrainParams.model_validate(TINY | training)
    recipe = Recipe.model_validate({"name": "tiny", "compute": {"workers": 1, "device": "cpu"}})
    return Session(recipe.model_copy(update={"training": params}), store, Inline(), Console())


@pytest.mark.parametrize("key", ["start", "objective.distil.teacher", "objective.gram.teacher"])
def test_weights_that_are_missing_are_refused_before_any_work(tmp_path: Path, key: str) -> None:
    without = ["training.crops.local_count=0"] if "distil" in key else []
    recipe = load_recipe("laptop", settings=[f"training.{key}={tmp_path}/nowhere@100:student", *without])
    store = Store(str(tmp_path))
    with pytest.raises(RecipeError, match=rf"training.{key} needs weights that are there, got .*nowhere. Give a run"):
        Session(recipe, store, Inline(), Console())
    here = load_recipe("laptop", settings=[f"training.{key}={tmp_path}@100:student", *without])
    assert Session(here, store, Inline(), Console()).recipe == here


def test_a_run_is_found_again_and_its_neighbour_pointed_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset, store, file = publish(tmp_path, invented(40, classes=2)), Store(str(tmp_path)), tmp_path / "start.pth"
    torch.save(invented_weights().vit, file)
    trained = pretrain(session(store, start=str(file)), dataset)
    assert "from step 0. Beside" not in capsys.readouterr().out
    longer = TINY["optim"] | {"steps": 3}
    pretrain(session(store, start=str(file), optim=longer), dataset)
    said = capsys.readouterr().out
    assert (
        f"new run, from step 0. Beside it lies {trained.run}, at step 2 of 2, which differs in optim.steps was 2"
        in said
    )
    assert f"training.start={tmp_path}/runs/{trained.run}" in said
    file.unlink()
    assert run_of(session(store, start=str(file)), dataset) == trained.run
    assert pretrain(session(store, start=str(file)), dataset).facts["steps"] == 2
    with pytest.raises((WorkspaceError, RecipeError), match="needs weights that are there"):
        session(store, start=str(file), seed=5)
