import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from training.evals import knn
from training.evals.effective_rank import effective_rank
from training.evals.features import centre_crop, pixel_features
from training.evals.linear import probe_classes
from training.evals.params import EvaluateParams
from training.evals.scores import all_scores


def test_knn_equals_its_slow_loop() -> None:
    torch.manual_seed(0)
    queries, bank, labels = torch.randn(40, 6), torch.randn(90, 6), torch.randint(0, 5, (90,))
    expected = []
    for query in F.normalize(queries, dim=1):
        cosines = F.normalize(bank, dim=1) @ query
        votes = [0.0] * 5
        for b in cosines.argsort(descending=True)[:7]:
            votes[labels[b]] += math.exp(float(cosines[b]) / 0.07)
        expected.append(int(np.argmax(votes)))
    assert knn.knn_classes(queries, bank, labels, k=7, temperature=0.07).tolist() == expected


def test_knn_does_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    queries, bank, labels = torch.randn(40, 6), torch.randn(90, 6), torch.randint(0, 5, (90,))
    whole = knn.knn_classes(queries, bank, labels, k=20, temperature=0.07)
    monkeypatch.setattr(knn, "QUERIES_AT_ONCE", 3)
    assert torch.equal(whole, knn.knn_classes(queries, bank, labels, k=20, temperature=0.07))


def test_knn_of_a_bank_smaller_than_k_uses_the_whole_bank() -> None:
    bank = torch.eye(3)
    assert knn.knn_classes(bank, bank, torch.tensor([2, 0, 1]), k=20, temperature=0.07).tolist() == [2, 0, 1]


def test_a_linear_probe_separates_what_a_line_can() -> None:
    torch.manual_seed(0)
    labels = torch.arange(120) % 3
    features = torch.randn(120, 8) * 0.2 + torch.eye(3, 8)[labels] * 3 + 100
    assert torch.equal(probe_classes(features[:30], features[30:], labels[30:], l2=1e-3, steps=50), labels[:30])


def test_the_effective_rank_counts_directions() -> None:
    torch.manual_seed(0)
    plane = torch.linalg.qr(torch.randn(500, 3)).Q @ torch.randn(3, 3)
    assert effective_rank(torch.ones(10, 4)) == 1.0
    assert 1 <= effective_rank(plane @ torch.eye(3, 16)) <= 3.01
    assert effective_rank(torch.randn(2000, 16)) > 15.9


def test_every_score_states_its_protocol_and_labels_are_needed_for_accuracy() -> None:
    bank, labels = torch.randn(30, 4), torch.arange(30) % 3
    scores = all_scores(bank[:5], labels[:5], bank, labels, EvaluateParams(k=3))
    assert [(s["evaluation"], s["metric"]) for s in scores] == [
        ("knn", "top1"),
        ("linear", "top1"),
        ("effective_rank", "rank"),
    ]
    assert scores[0]["protocol"] == {"k": 3, "temperature": 0.07, "bank": 30, "queries": 5}
    without = all_scores(bank[:0], labels[:0], bank, labels, EvaluateParams())
    assert [s["evaluation"] for s in without] == ["effective_rank"]


def test_the_centre_crop_keeps_the_middle_and_the_proportions() -> None:
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:, 20:60] = 255
    crop = centre_crop(Image.fromarray(pixels), 32, 1.0)
    assert crop.shape == (3, 32, 32)
    assert crop.min() > 200
    assert pixel_features(torch.randn(2, 3, 32, 32)).shape == (2, 768)


def test_scores_serialise(tmp_path: Path) -> None:
    scores: list[dict[str, Any]] = all_scores(
        torch.randn(2, 4), torch.tensor([0, 1]), torch.randn(9, 4), torch.arange(9) % 2, EvaluateParams(probe_steps=3)
    )
    assert json.loads(json.dumps(scores)) == scores
