"""A small published dataset, and params of a run that takes seconds."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import shared.images.torchvision_cpu  # noqa: F401  before timm, which test files import by themselves
from shared.dataset_version import Published, open_version
from shared.params import Compute
from shared.storage import Store
from tests.training.publishing import invented, publish
from tests.training.tiny import tiny_training
from training.params import PretrainParams
from training.stages import pretrain


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)  # threads of several processes that wait for each other cost more than they bring


@pytest.fixture
def dataset(tmp_path: Path) -> Published:
    return publish(tmp_path, invented(60, classes=4))


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    return tiny_training(4, checkpoint_every=2, rank_every=2, knn_every=0)


@pytest.fixture
def params(tiny: dict[str, Any]) -> PretrainParams:
    return PretrainParams.model_validate(tiny)


@pytest.fixture(scope="session")
def trained_once(tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `trained`, which nobody changes."""
    folder = tmp_path_factory.mktemp("trained")
    made = publish(folder, invented(60, classes=4))
    compute = Compute(device="cpu", workers=1)
    pretrain(made, params=PretrainParams.model_validate(tiny), compute=compute, workspace=folder, run="run")
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Published:
    """The dataset in a workspace where a run of these params has ended, to be changed by the test."""
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    return open_version(Store(str(tmp_path)), "tiny")
