"""Retrieval by label: are the images of a query's class the nearest of the bank?

The bank is ranked by cosine for each query; an image of the query's class is a right answer. mAP is the mean over
queries of the average precision over the whole bank. recall@k is the share of queries with a right answer among the k
nearest. Equal cosines enter a ranking together, and count against recall@k. Queries whose class the bank lacks have no
right answer: they are left out, and counted.

Shapes: Q queries, B images of the bank.
"""

from typing import Annotated, Literal

from pydantic import Field

from training.eval.inputs import LabelledFeatures, OmittedError, ScoreRow, score
from training.eval.protocols.evaluation import EvaluationProtocol


class Retrieval(EvaluationProtocol):
    """Retrieval by label."""

    kind: Literal["retrieval"] = "retrieval"
    """Are images of the same class the nearest? Nothing is fitted."""
    needs = "labels"
    recall_at: tuple[Annotated[int, Field(ge=1)], ...] = (1, 5, 10)
    """Numbers of nearest images, each reported as `recall@k`."""

    def scores(self, inputs: LabelledFeatures) -> list[ScoreRow]:
        """Return `map` and `recall@k`."""
        import torch

        from training.eval.math.average_precision import average_precision
        from training.eval.math.nearest import rounded, rows_at_once, unit

        inputs.check()
        has_answer = torch.isin(inputs.query_label, inputs.bank_label)
        if not bool(has_answer.any()):
            raise OmittedError("needs a query whose class is in the bank, got none")
        bank_DB, precisions, ranks = unit(inputs.bank).T.contiguous(), [], []
        rows = rows_at_once(len(inputs.bank))
        answerable = unit(inputs.queries[has_answer]), inputs.query_label[has_answer]
        parts = zip(*(torch.split(tensor, rows) for tensor in answerable), strict=True)
        for queries_QD, label_Q in parts:
            cosine_QB, right_QB = rounded(queries_QD @ bank_DB), label_Q[:, None] == inputs.bank_label
            precisions.append(average_precision(cosine_QB, right_QB))
            best_Q = cosine_QB.where(right_QB, -torch.inf).amax(dim=1)
            ranks.append(1 + ((cosine_QB >= best_Q[:, None]) & ~right_QB).sum(dim=1))
        protocol = {
            "ranking": "the whole bank by cosine; equal ones together",
            **inputs.counts,
            "queries": int(has_answer.sum()),
            "queries_without_answer": int((~has_answer).sum()),
        }
        rank_Q = torch.cat(ranks)
        values = {"map": float(torch.cat(precisions).mean())}
        values |= {f"recall@{k}": float((rank_Q <= k).double().mean()) for k in self.recall_at if k <= len(inputs.bank)}
        return [score(self.kind, metric, value, protocol) for metric, value in values.items()]
