"""Features and labels to scores: each with the protocol it was measured by.

Shapes: Q queries, B images of the bank, D width.
"""

from typing import Any

import torch
from torch import Tensor

from training.evals.effective_rank import effective_rank
from training.evals.knn import knn_classes
from training.evals.linear import probe_classes
from training.evals.params import EvaluateParams

Score = dict[str, Any]


def all_scores(
    queries_QD: Tensor, query_label_Q: Tensor, bank_BD: Tensor, bank_label_B: Tensor, params: EvaluateParams
) -> list[Score]:
    """Return the scores that the params ask for; without labels (no queries) only the effective rank."""
    counts = {"bank": len(bank_BD), "queries": len(queries_QD)}
    scores: list[Score] = []
    for evaluation in params.evaluations:
        if evaluation == "effective_rank":
            protocol: dict[str, Any] = {"images": len(bank_BD), "centred": True}
            scores.append(_score(evaluation, "rank", effective_rank(bank_BD), protocol))
        elif not len(queries_QD):
            continue
        elif evaluation == "knn":
            protocol = {"k": params.k, "temperature": params.temperature, **counts}
            given_Q = knn_classes(queries_QD, bank_BD, bank_label_B, k=params.k, temperature=params.temperature)
            scores.append(_score(evaluation, "top1", _accuracy(given_Q, query_label_Q), protocol))
        else:
            protocol = {"solver": "L-BFGS", "steps": params.probe_steps, "l2": params.l2, **counts}
            given_Q = probe_classes(queries_QD, bank_BD, bank_label_B, l2=params.l2, steps=params.probe_steps)
            scores.append(_score(evaluation, "top1", _accuracy(given_Q, query_label_Q), protocol))
    return scores


def _accuracy(given_Q: Tensor, true_Q: Tensor) -> float:
    return float((given_Q == true_Q).to(torch.float64).mean())


def _score(evaluation: str, metric: str, value: float, protocol: dict[str, Any]) -> Score:
    return {"evaluation": evaluation, "metric": metric, "value": value, "protocol": protocol}
