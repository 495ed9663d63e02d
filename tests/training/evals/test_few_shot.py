import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.training.evals.seeing import labelled, rearranged
from training.evals.few_shot import FewShot, nearest_centroid
from training.evals.seen import OmittedError


def test_the_nearest_centroid_equals_its_slow_loop() -> None:
    seen = labelled()
    shots = torch.stack([seen.bank[seen.bank_label == z][:4] for z in range(5)])
    expected = []
    for query in seen.queries:
        means = [torch.stack([F.normalize(x, dim=0) for x in of_class]).mean(dim=0) for of_class in shots]
        expected.append(int(np.argmax([float(F.cosine_similarity(query, mean, dim=0)) for mean in means])))
    assert nearest_centroid(seen.queries, shots).tolist() == expected


def test_the_value_is_the_mean_over_draws_and_their_deviation_is_told() -> None:
    seen = labelled()
    one, five = FewShot(shots=(1, 5)).scores(seen)
    assert (one["metric"], five["metric"]) == ("top1 n=1", "top1 n=5")
    assert one["value"] < five["value"]
    assert one["protocol"]["sd"] > five["protocol"]["sd"] > 0
    assert FewShot(shots=(1, 5)).scores(seen) == [one, five]
    assert FewShot(shots=(1, 5), seed=9).scores(seen)[0]["value"] != one["value"]


def test_draws_of_all_there_is_agree_in_any_order() -> None:
    seen = labelled()
    score = FewShot(shots=(18,)).scores(seen)[0]
    assert score["protocol"]["sd"] == 0
    assert FewShot(shots=(18,)).scores(rearranged(seen))[0]["value"] == score["value"]


def test_classes_of_too_few_images_are_left_out_with_their_queries_and_said() -> None:
    seen = labelled()
    fewer = torch.ones(90, dtype=torch.bool)
    fewer[(seen.bank_label == 2).nonzero()[3:, 0]] = False
    seen = dataclasses.replace(seen, bank=seen.bank[fewer], bank_label=seen.bank_label[fewer])
    three, five, many = FewShot(shots=(3, 5, 18)).scores(seen)
    assert three["protocol"]["classes"] == "5 of 5 have 3 images in the bank"
    assert five["protocol"]["classes"] == many["protocol"]["classes"].replace("18", "5")
    assert (three["protocol"]["queries"], five["protocol"]["queries"]) == (40, 32)
    assert [score["metric"] for score in FewShot(shots=(5, 50)).scores(seen)] == ["top1 n=5"]
    with pytest.raises(OmittedError, match="needs two classes of 19 images in the bank"):
        FewShot(shots=(19,)).scores(seen)
