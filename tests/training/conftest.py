"""A small published dataset, and params of a run that takes seconds."""

from pathlib import Path
from typing import Any

import pytest
import torch

import shared.images.torchvision_cpu  # noqa: F401  before timm, which test files import by themselves
from shared.dataset_version import Published
from tests.training.publishing import invented, publish
from tests.training.tiny import tiny_training
from training.params import PretrainParams


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
