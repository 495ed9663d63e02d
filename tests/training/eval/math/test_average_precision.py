import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn import functional as F

from tests.training.eval.invented_features import labelled, rearranged
from training.eval.inputs import CopyFeatures, OmittedError, ScoreRow
from training.eval.math import nearest
from training.eval.math.average_precision import PairRanking, average_precision
from training.eval.protocols.copy_detection import CopyDetection
from training.eval.protocols.retrieval import Retrieval


def values(scores: list[ScoreRow]) -> dict[str, float]:
    return {score["metric"]: score["value"] for score in scores}


def tied(rows: int = 30, answers: int = 25) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    score = torch.randint(0, 6, (rows, answers), generator=generator).double()
    return score, torch.rand(rows, answers, generator=generator) < 0.3


def test_average_precision_is_that_of_scikit_learn_even_where_scores_are_equal() -> None:
    score, right = tied()
    expected = [average_precision_score(r, s) for r, s in zip(right.numpy(), score.numpy(), strict=True)]
    np.testing.assert_allclose(average_precision(score, right).numpy(), expected, atol=1e-12)


def test_average_precision_leaves_out_what_is_not_in_the_ranking() -> None:
    score, right = torch.tensor([[3.0, -math.inf, 2.0, 1.0]]), torch.tensor([[False, False, True, True]])
    assert average_precision(score, right).tolist() == [pytest.approx((1 / 2 + 2 / 3) / 2)]


def test_one_ranking_of_all_pairs_may_come_in_pieces() -> None:
    score, right = tied()
    ranking = PairRanking.of(score[right])
    for piece in torch.split(score[~right], 7):
        ranking.add_wrong(piece)
    expected = average_precision_score(right.flatten().numpy(), score.flatten().numpy())
    assert ranking.average_precision() == pytest.approx(expected, abs=1e-12)


def test_recall_is_told_at_the_lowest_threshold_that_keeps_the_precision() -> None:
    ranking = PairRanking.of(torch.tensor([0.9, 0.8, 0.8, 0.3, 0.1]))
    ranking.add_wrong(torch.tensor([0.85, 0.2, 0.2]))
    assert ranking.recall_at(0.8) == (0.8, pytest.approx(0.3))  # 4 of 5 above 0.3 are right; 3 of 4 above 0.8
    assert ranking.recall_at(1.0) == (0.2, pytest.approx(0.9))
    ranking.add_wrong(torch.tensor([1.0]))
    assert ranking.recall_at(0.9) == (0.0, None)


def test_retrieval_equals_its_slow_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = labelled()
    precisions, found = [], []
    for query, label in zip(inputs.queries.double(), inputs.query_label, strict=True):
        order = F.cosine_similarity(inputs.bank.double(), query[None]).argsort(descending=True)
        right = (inputs.bank_label[order] == label).tolist()
        places = [place for place, is_right in enumerate(right, start=1) if is_right]
        precisions.append(np.mean([number / place for number, place in enumerate(places, start=1)]))
        found.append(places[0] <= 5)
    scores = values(Retrieval().scores(inputs))
    assert scores.keys() == {"map", "recall@1", "recall@5", "recall@10"}
    assert scores["map"] == pytest.approx(np.mean(precisions), abs=1e-12)
    assert scores["recall@5"] == np.mean(found)
    assert values(Retrieval().scores(rearranged(inputs))) == pytest.approx(scores, abs=1e-12)
    monkeypatch.setattr(nearest, "CELLS", 3 * len(inputs.bank))
    assert values(Retrieval().scores(inputs)) == pytest.approx(scores, abs=1e-12)


def test_a_collapsed_model_retrieves_by_chance_and_recalls_nothing() -> None:
    inputs = labelled()
    same = dataclasses.replace(inputs, bank=torch.ones(90, 6), queries=torch.ones(40, 6))
    assert values(Retrieval().scores(same)) == pytest.approx({"map": 0.2, "recall@1": 0, "recall@5": 0, "recall@10": 0})


def test_queries_whose_class_the_bank_lacks_are_left_out_and_counted() -> None:
    inputs = labelled()
    label = inputs.query_label.clone()
    label[:4] = 77
    scores = Retrieval().scores(dataclasses.replace(inputs, query_label=label))
    kept = dataclasses.replace(inputs, queries=inputs.queries[4:], query_label=label[4:])
    assert values(scores) == values(Retrieval().scores(kept))
    assert (scores[0]["protocol"]["queries"], scores[0]["protocol"]["queries_without_answer"]) == (36, 4)
    with pytest.raises(OmittedError, match="a query whose class is in the bank"):
        Retrieval().scores(dataclasses.replace(inputs, query_label=label + 100))


def with_copies() -> CopyFeatures:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 5, generator=generator)
    x[1], x[20], x[21] = x[0] + 0.2, x[7], x[7] * 3  # 7, 20 and 21 look exactly the same, 1 is like 0
    copies = torch.tensor([[0, 1], [7, 20], [4, 9], [3, 11]])
    return CopyFeatures(x, copies, ignored=torch.tensor([[7, 21], [2, 5]]))


def test_copy_detection_equals_its_slow_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = with_copies()
    copies, ignored = ({tuple(pair) for pair in pairs.tolist()} for pairs in (inputs.copies, inputs.ignored))
    x = F.normalize(inputs.features.double(), dim=1)
    of_pair = {
        (i, j): (round(float(x[i] @ x[j]), 9), (i, j) in copies)
        for i in range(30)
        for j in range(i + 1, 30)
        if (i, j) not in ignored
    }
    cosines, right = zip(*of_pair.values(), strict=True)
    precisions = []
    for i in sorted({row for pair in copies for row in pair}):
        mine = [told for pair, told in of_pair.items() if i in pair]
        precisions.append(average_precision_score([is_right for _, is_right in mine], [c for c, _ in mine]))
    expected = {"map": np.mean(precisions), "micro_ap": average_precision_score(right, cosines)}
    scores = values(CopyDetection(precision=0.5).scores(inputs))
    assert scores == pytest.approx({**expected, "recall@p50": 0.5}, abs=1e-12)
    monkeypatch.setattr(nearest, "CELLS", 3 * 30)
    assert values(CopyDetection(precision=0.5).scores(inputs)) == pytest.approx(scores, abs=1e-12)


def test_the_order_of_the_images_changes_nothing() -> None:
    inputs = with_copies()
    order = torch.randperm(30, generator=torch.Generator().manual_seed(3))
    place = order.argsort()
    moved = CopyFeatures(
        inputs.features[order], *(place[pairs].sort().values for pairs in (inputs.copies, inputs.ignored))
    )
    assert values(CopyDetection().scores(moved)) == pytest.approx(values(CopyDetection().scores(inputs)), abs=1e-12)


def test_copies_are_found_at_once_where_nothing_else_is_as_near_and_by_chance_where_all_is_equal() -> None:
    inputs = CopyFeatures(
        torch.eye(12)[[0, 0, 1, 1, 4, 5, 6]], torch.tensor([[0, 1], [2, 3]]), torch.empty(0, 2).long()
    )
    scores = CopyDetection().scores(inputs)
    assert values(scores) == {"map": 1, "micro_ap": 1, "recall@p90": 1}
    assert scores[2]["protocol"]["cosine"] == pytest.approx(1)
    assert values(CopyDetection().scores(dataclasses.replace(inputs, features=torch.ones(7, 3)))) == pytest.approx(
        {"map": 1 / 6, "micro_ap": 2 / 21, "recall@p90": 0}
    )


def test_without_a_pair_of_copies_there_is_nothing_to_find() -> None:
    none = torch.empty(0, 2).long()
    with pytest.raises(OmittedError, match="needs a pair of copies, got none"):
        CopyDetection().scores(CopyFeatures(torch.randn(3, 2), none, none))
