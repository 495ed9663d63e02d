import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.training.eval.invented_features import labelled, rearranged
from training.eval.inputs import OmittedError
from training.eval.protocols.few_shot import FewShot, logistic, nearest_centroid
from training.eval.protocols.linear import probe_classes


def test_the_nearest_centroid_equals_its_slow_loop() -> None:
    inputs = labelled()
    shots = torch.stack([inputs.bank[inputs.bank_label == z][:4] for z in range(5)])
    expected = []
    for query in inputs.queries:
        means = [torch.stack([F.normalize(x, dim=0) for x in of_class]).mean(dim=0) for of_class in shots]
        expected.append(int(np.argmax([float(F.cosine_similarity(query, mean, dim=0)) for mean in means])))
    assert nearest_centroid(inputs.queries, shots).tolist() == expected


def test_the_value_is_the_mean_over_draws_and_their_deviation_is_told() -> None:
    inputs = labelled()
    scores = {score["metric"]: score for score in FewShot(shots=(1, 5), steps=10, draws=4).scores(inputs)}
    assert scores.keys() == {"top1 n=1", "centroid n=1", "top1 n=5", "centroid n=5"}
    for name in ("top1", "centroid"):
        assert scores[f"{name} n=1"]["value"] < scores[f"{name} n=5"]["value"]
        assert scores[f"{name} n=1"]["protocol"]["sd"] > 0
    halves = [FewShot(shots=(1,), steps=10, draws=2, seed=seed).scores(inputs) for seed in (0, 2)]
    for one, other, whole in zip(*halves, list(scores.values())[:2], strict=True):
        assert whole["value"] == pytest.approx((one["value"] + other["value"]) / 2)
        assert one["value"] != other["value"]


def test_draws_of_all_there_is_agree_in_any_order() -> None:
    inputs = labelled()
    evaluation = FewShot(shots=(18,), draws=2)
    scores = evaluation.scores(inputs)
    assert [score["protocol"]["sd"] for score in scores] == [0, 0]
    assert [score["value"] for score in evaluation.scores(rearranged(inputs))] == [score["value"] for score in scores]
    assert torch.equal(
        logistic(
            inputs.queries, torch.stack([inputs.bank[inputs.bank_label == z] for z in range(5)]), l2=1e-2, steps=100
        ),
        probe_classes(inputs.queries, inputs.bank, inputs.bank_label, l2=1e-2, steps=100),
    )


def test_classes_of_too_few_images_are_left_out_with_their_queries_and_said() -> None:
    inputs = labelled()
    fewer = torch.ones(90, dtype=torch.bool)
    fewer[(inputs.bank_label == 2).nonzero()[3:, 0]] = False
    inputs = dataclasses.replace(inputs, bank=inputs.bank[fewer], bank_label=inputs.bank_label[fewer])
    scores = {score["metric"]: score["protocol"] for score in FewShot(shots=(3, 5, 50), draws=2).scores(inputs)}
    assert scores.keys() == {"top1 n=3", "centroid n=3", "top1 n=5", "centroid n=5"}
    assert scores["top1 n=3"]["classes"] == "5 of 5 have 3 images in the bank"
    assert scores["top1 n=5"]["classes"] == "4 of 5 have 5 images in the bank"
    assert (scores["top1 n=3"]["queries"], scores["top1 n=5"]["queries"]) == (40, 32)
    with pytest.raises(OmittedError, match="needs two classes of 19 images in the bank"):
        FewShot(shots=(19,)).scores(inputs)
