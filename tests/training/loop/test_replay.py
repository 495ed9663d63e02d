"""Any past step can be taken again, to the bit."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.commands.replay import replay_step
from shared.dataset_version import Published, open_version
from shared.errors import UserError
from shared.params import Compute
from shared.storage import Store
from tests.training.loop.test_bad_steps import failing
from tests.training.publishing import invented, publish
from training.data.index import SampleIndex
from training.loop.replay import replay
from training.loss import losses
from training.params import PretrainParams
from training.runs.run_folder import RunFolder
from training.stages import pretrain

ON_CPU = Compute(device="cpu", workers=1)


@pytest.fixture(scope="module")
def went_back(tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a run that went back once: steps 3 and on are of another order."""
    optim, workspace = tiny["optim"] | {"steps": 7, "bad_steps": 2}, tmp_path_factory.mktemp("went_back")
    params = PretrainParams.model_validate(tiny | {"optim": optim, "keep_checkpoints": 3})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "dino_loss", failing(lambda call: call in (4, 5)))
        made = publish(workspace, invented(60, classes=4))
        pretrain(made, params=params, compute=ON_CPU, workspace=workspace, run="run")
    return workspace


@pytest.fixture
def folder(went_back: Path, tmp_path: Path) -> RunFolder:
    shutil.copytree(went_back, tmp_path, dirs_exist_ok=True)
    return RunFolder(tmp_path / "runs" / "run")


@pytest.fixture
def dataset(folder: RunFolder, tmp_path: Path) -> Published:
    return open_version(Store(str(tmp_path)), "tiny")


@pytest.mark.parametrize(("step", "begins"), [(1, 0), (3, 0), (5, 4), (7, 6)])
def test_a_step_is_replayed_to_the_bit_with_or_without_a_checkpoint_before_it(
    folder: RunFolder, dataset: Published, step: int, begins: int
) -> None:
    assert [one for one in folder.steps() if one < step][-1:] == ([begins] if begins else [])
    facts = replay(folder, step, ON_CPU)
    assert (facts["from_step"], facts["equal"], facts["difference"]) == (begins, True, 0)
    row = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()][step - 1]
    assert facts["numbers"]["grad_norm"] == {"recorded": row["grad_norm"], "replayed": row["grad_norm"]}
    assert facts["numbers"].keys() == {"loss", "loss_dino", "loss_ibot", "loss_koleo", "loss_gram", "grad_norm"}
    index, first = SampleIndex(dataset, 0), (7 * row.get("order", 0) + step - 1) * 8
    assert facts["images"] == index.uris([ref.row for ref in index.refs(list(range(first, first + 8)))])
    assert Image.open(facts["picture"]).height == 8 * (32 + 2)


def test_the_command_shows_both_and_says_whether_they_are_equal(
    folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay_step(str(tmp_path), "run", 5, "cpu", as_json=False)
    assert "equal to the bit" in capsys.readouterr().out
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    lines[4] = json.dumps(json.loads(lines[4]) | {"grad_norm": 1e3})
    (folder.path / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    replay_step(str(tmp_path), "run", 5, "cpu", as_json=False)
    assert "of their size: not this step" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"needs a step that run has taken, got 8. Choose one of: steps 1 to 7"):
        replay_step(str(tmp_path), "run", 8, "cpu", as_json=False)
