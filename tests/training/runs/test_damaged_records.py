"""The small files that a run leaves: one that is not as it was written is passed over, said, and written again."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.inspect.upkeep.doctor import examine
from shared.dataset_version import Published
from shared.errors import DamagedFileError
from shared.params import Compute
from shared.storage.checked_json import json_facts
from training.eval.params import EvaluateParams
from training.eval.protocols.knn import Knn
from training.params import PretrainParams
from training.runs.run_folder import RunFolder
from training.stages import evaluate, pretrain

ON_CPU = Compute(device="cpu", workers=1)
SCORED = EvaluateParams(evaluations=(Knn(k=3, also=()),), baselines=False)
RECORDS = ("runs/run/best.json", "runs/run/config.json", "runs/run/checkpoints/step-00000004/checkpoint.json")


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[random.Random(path.name).randrange(len(data))] ^= 4
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def work(params: PretrainParams, dataset: Published, tmp_path: Path) -> Callable[[], Any]:
    """Train and score, or what is missing of it; returns what comes of it."""

    def both() -> Any:
        trained = pretrain(dataset, params=params, compute=ON_CPU, workspace=tmp_path, run="run")
        scored = evaluate(dataset, params=SCORED, compute=ON_CPU, workspace=tmp_path, run="run")
        return trained["final_loss"], scored["scores"], scored["best"]

    both()
    return both


@pytest.mark.parametrize("damage", [flipped, cut])
@pytest.mark.parametrize("name", ["runs/run/best.json", "evaluations/run/4.json"])
def test_a_damaged_mark_or_score_is_made_again_and_said(
    work: Callable[[], Any],
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = work()
    damage(tmp_path / name)
    capsys.readouterr()
    assert work() == whole
    assert name in capsys.readouterr().out
    assert work() == whole
    assert capsys.readouterr().out == ""


def test_a_damaged_config_is_named_and_the_doctor_has_it_written_again(
    work: Callable[[], Any], dataset: Published, params: PretrainParams, tmp_path: Path
) -> None:
    whole, config = work(), RunFolder(tmp_path / "runs" / "run").config()
    flipped(tmp_path / "runs/run/config.json")
    with pytest.raises(DamagedFileError, match=r"runs/run/config\.json as it was written.*dinoflow doctor"):
        work()
    shutil.copytree(tmp_path / "runs", tmp_path / "elsewhere/runs")
    assert examine(str(tmp_path / "elsewhere"), json=True)["mended"] == ["runs/run/config.json"]
    shutil.rmtree(tmp_path / "runs")
    shutil.copytree(tmp_path / "elsewhere/runs", tmp_path / "runs")
    assert work() == whole
    again = RunFolder(tmp_path / "runs" / "run").config()
    assert config
    assert again
    assert again["params"] == config["params"]


@pytest.mark.parametrize("name", RECORDS)
def test_no_bit_of_a_record_changes_unseen(work: Callable[[], Any], tmp_path: Path, name: str) -> None:
    data = (tmp_path / name).read_bytes()
    facts = json_facts(data, name)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 4
        try:
            # In the name of the checksum alone: then it is taken for an older file, which had none.
            assert json_facts(bytes(changed), name).items() >= facts.items(), place
        except DamagedFileError:
            continue
