import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.training.eval.invented_features import labelled, rearranged
from training.eval.inputs import OmittedError
from training.eval.math import nearest
from training.eval.protocols.knn import Knn, knn_classes


def test_knn_equals_its_slow_loop_for_every_k() -> None:
    inputs = labelled()
    found = knn_classes(inputs.queries, inputs.bank, inputs.bank_label, ks=[7, 30], temperature=0.07)
    for k, classes in zip([7, 30], found, strict=True):
        expected = []
        for query in F.normalize(inputs.queries.double(), dim=1):
            cosines = F.normalize(inputs.bank.double(), dim=1) @ query
            votes = [0.0] * 5
            for b in cosines.argsort(descending=True)[:k]:
                votes[inputs.bank_label[b]] += math.exp(float(cosines[b]) / 0.07)
            expected.append(int(np.argmax(votes)))
        assert classes.tolist() == expected


def test_knn_depends_neither_on_the_batch_size_nor_on_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = labelled()
    whole = Knn().scores(inputs)
    assert Knn().scores(rearranged(inputs)) == whole
    monkeypatch.setattr(nearest, "CELLS", 3 * len(inputs.bank))
    assert Knn().scores(inputs) == whole


@pytest.mark.parametrize("cells", [1, 2**20])
def test_copies_in_the_bank_come_in_its_order_whatever_the_batch(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr(nearest, "CELLS", cells)
    torch.manual_seed(0)
    one, queries = torch.randn(1, 37), torch.randn(50, 37)
    last_bits = 1e-14 * torch.randn(64, 37, dtype=torch.float64)
    cosine, row = nearest.nearest(queries, one.double() + last_bits, 5)
    assert row.tolist() == [[0, 1, 2, 3, 4]] * 50
    torch.testing.assert_close(cosine[:, 0], F.cosine_similarity(queries.double(), one.double()))


def test_every_k_is_a_metric_of_its_own_and_one_beyond_the_bank_is_left_out_and_said() -> None:
    scores = Knn(k=20, also=(10, 100)).scores(labelled(bank=60))
    assert [(s["evaluation"], s["metric"], s["protocol"]["k"]) for s in scores] == [
        ("knn", "top1", 20),
        ("knn", "top1 k=10", 10),
    ]
    assert scores[0]["protocol"] == {
        "k": 20,
        "temperature": 0.07,
        "bank": 60,
        "queries": 40,
        "left_out": "larger than the bank: k=100",
    }


def test_a_bank_that_cannot_be_voted_with_is_an_omission_that_says_why() -> None:
    inputs = labelled(bank=9)
    with pytest.raises(OmittedError, match="needs a bank of at least 10 images, got 9"):
        Knn().scores(inputs)
    with pytest.raises(OmittedError, match="needs a bank of two classes, got 1"):
        Knn().scores(dataclasses.replace(inputs, bank_label=torch.full((9,), 3)))
    with pytest.raises(OmittedError, match="needs a query, got none"):
        Knn().scores(dataclasses.replace(inputs, queries=inputs.queries[:0], query_label=inputs.query_label[:0]))
    with pytest.raises(OmittedError, match="finite features, got NaN"):
        Knn().scores(dataclasses.replace(inputs, queries=inputs.queries * math.nan))
