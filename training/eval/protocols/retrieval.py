"""Retrieval by label: are the images of a query's class the nearest of the bank?

The bank is ranked by cosine for each query; an image of the query's class is a right answer. mAP is the mean over
queries of the average precision over the whole bank. recall@k is the share of queries with a right answer among the k
nearest. Equal cosines enter a ranking together, and count against recall@k. Queries whose class the bank lacks have no
right answer: they are left out, and counted.

Shapes: Q queries, B images of the bank.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.params import Params
from training.eval.inputs import OmittedError, Score, SeenLabels, score
from training.eval.sets.labelled import Needs


class Retrieval(Params):
    """Retrieval by label."""

    kind: Literal["retrieval"] = "retrieval"
    """Are images of the same class the nearest? Nothing is fitted."""
    needs: ClassVar[Needs] = "labels"
    recall_at: tuple[Annotated[int, Field(ge=1)], ...] = (1, 5, 10)
    """Numbers of nearest images, each reported as `recall@k`."""

    def scores(self, seen: SeenLabels) -> list[Score]:
        """Return `map` and `recall@k`."""
        import torch

        from training.eval.math.average_precision import average_precision
        from training.eval.math.nearest import rounded, rows_at_once, unit

        seen.check()
        asked = torch.isin(seen.query_label, seen.bank_label)
        if not bool(asked.any()):
            raise OmittedError("needs a query whose class is in the bank, got none")
        bank_DB, precisions, ranks = unit(seen.bank).T.contiguous(), [], []
        rows = rows_at_once(len(seen.bank))
        asking = unit(seen.queries[asked]), seen.query_label[asked]
        parts = zip(*(torch.split(tensor, rows) for tensor in asking), strict=True)
        for queries_QD, label_Q in parts:
            cosine_QB, right_QB = rounded(queries_QD @ bank_DB), label_Q[:, None] == seen.bank_label
            precisions.append(average_precision(cosine_QB, right_QB))
            best_Q = cosine_QB.where(right_QB, -torch.inf).amax(dim=1)
            ranks.append(1 + ((cosine_QB >= best_Q[:, None]) & ~right_QB).sum(dim=1))
        protocol = {
            "ranking": "the whole bank by cosine; equal ones together",
            **seen.counts,
            "queries": int(asked.sum()),
            "queries_without_answer": int((~asked).sum()),
        }
        rank_Q = torch.cat(ranks)
        found = {"map": float(torch.cat(precisions).mean())}
        found |= {f"recall@{k}": float((rank_Q <= k).double().mean()) for k in self.recall_at if k <= len(seen.bank)}
        return [score(self.kind, metric, value, protocol) for metric, value in found.items()]
