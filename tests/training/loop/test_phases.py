"""A run whose crops change their size under way, and that is killed in any phase."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.dataset_version import Published
from shared.errors import RecipeError
from shared.params import Compute
from training.data.index import SampleIndex
from training.data.loader import steps_of
from training.distributed import DistributedContext
from training.params import PretrainParams
from training.params.resolved import resolved
from training.runs.run_folder import RunFolder
from training.stages import pretrain

ON_CPU = Compute(device="cpu", workers=1)
ALONE = DistributedContext(torch.device("cpu"), 0, 1)


def phased(tiny: dict[str, Any], begins: Any = 2, **changes: Any) -> PretrainParams:
    phase = {"begins": begins, "global_size": 48, "local_size": 24}
    return PretrainParams.model_validate(tiny | {"phases": [phase], "checkpoint_every": 1} | changes)


def test_crops_grow_at_the_step_that_the_phase_begins(tiny: dict[str, Any], dataset: Published) -> None:
    params = resolved(phased(tiny), 54)
    loader = steps_of(SampleIndex(dataset, 0), params, 0, ALONE, ON_CPU)
    assert [batch.global_crops.shape[-1] for batch in loader] == [32, 32, 48, 48]
    assert [batch.local_crops.shape[-1] for batch in steps_of(SampleIndex(dataset, 0), params, 3, ALONE, ON_CPU)] == [
        24
    ]


@pytest.mark.parametrize("killed_after", [1, *(pytest.param(step, marks=pytest.mark.slow) for step in (2, 3))])
def test_a_run_goes_on_in_the_phase_where_it_was_killed(
    tiny: dict[str, Any], dataset: Published, tmp_path: Path, killed_after: int
) -> None:
    params = phased(tiny, keep_checkpoints=9)
    pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")
    folder = RunFolder(tmp_path / "runs" / "run")
    whole = torch.load(folder.checkpoint(4) / "state.pt", weights_only=True)["teacher"]
    for step in range(killed_after + 1, 5):
        shutil.rmtree(folder.checkpoint(step))
    pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")
    again = torch.load(folder.checkpoint(4) / "state.pt", weights_only=True)["teacher"]
    assert all(torch.equal(again[name], whole[name]) for name in whole)


def test_phases_begin_one_after_the_other_within_the_run(tiny: dict[str, Any]) -> None:
    assert resolved(phased(tiny, "16 samples"), 54).phases[0].begins == 2
    with pytest.raises(RecipeError, match=r"one after the other within the run, got steps 4 of 4"):
        resolved(phased(tiny, 4), 54)
    with pytest.raises(ValueError, match=r"phases.0.global_size must be a multiple of model.patch_size, got 50 and 8"):
        phased(tiny, phases=[{"begins": 2, "global_size": 50, "local_size": 24}])
