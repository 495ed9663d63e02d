"""Copy detection: do copies of an image come before everything else?

`map`: each image that has a copy is a query against all others; the mean of their average precisions. `micro_ap`: all
pairs in one ranking, as DISC21 scores (Douze et al. 2021), so that one threshold must serve every image. `recall@p90`:
the greatest share of copies that a threshold finds at a precision of 0.9 or more. Pairs that are ignored are in no
ranking; every other pair that is no copy is wrong. Equal cosines enter a ranking together.

Shapes: B images, D width, P pairs of copies, Q images that are compared at once.
"""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from training.eval.inputs import CopyFeatures, ScoreRow, score
from training.eval.protocols.evaluation import EvaluationProtocol

if TYPE_CHECKING:
    from torch import Tensor


class CopyDetection(EvaluationProtocol):
    """Copy detection."""

    kind: Literal["copy_detection"] = "copy_detection"
    """Do copies of an image come before everything else? Nothing is fitted."""
    needs = "copies"
    precision: float = Field(default=0.9, gt=0, le=1)
    """At which recall is told."""

    def scores(self, inputs: CopyFeatures) -> list[ScoreRow]:
        """Return `map`, `micro_ap` and `recall@p90`."""
        import torch

        from training.eval.math.average_precision import PairRanking, average_precision
        from training.eval.math.nearest import rounded, rows_at_once, unit

        inputs.check()
        x_BD, precisions = unit(inputs.features), []
        column_B = torch.arange(len(x_BD), device=x_BD.device)
        ranking = PairRanking.of(rounded((x_BD[inputs.copies[:, 0]] * x_BD[inputs.copies[:, 1]]).sum(dim=1)))
        for rows_Q in torch.split(column_B, rows_at_once(len(x_BD))):
            cosine_QB = rounded(x_BD[rows_Q] @ x_BD.T)
            right_QB, ignored_QB = (_marked(pairs, rows_Q, len(x_BD)) for pairs in (inputs.copies, inputs.ignored))
            ignored_QB |= rows_Q[:, None] == column_B
            asked_Q = right_QB.any(dim=1)
            precisions.append(average_precision(cosine_QB.where(~ignored_QB, -torch.inf)[asked_Q], right_QB[asked_Q]))
            ranking.add_wrong(cosine_QB[(column_B > rows_Q[:, None]) & ~right_QB & ~ignored_QB])
        ap_Q = torch.cat(precisions)
        recall, cosine = ranking.recall_at(self.precision)
        protocol = {
            "ranking": "by cosine; equal ones together",
            "images": len(x_BD),
            "copies": len(inputs.copies),
            "ignored_pairs": len(inputs.ignored),
        }
        return [
            score(self.kind, "map", float(ap_Q.mean()), {**protocol, "queries": len(ap_Q)}),
            score(self.kind, "micro_ap", ranking.average_precision(), {**protocol, "pairs": "all in one ranking"}),
            score(self.kind, f"recall@p{100 * self.precision:g}", recall, {**protocol, "cosine": cosine}),
        ]


def _marked(pairs_P2: "Tensor", rows_Q: "Tensor", images: int) -> "Tensor":
    """Return marked_QB: whether a row and a column are one of the pairs, either way round."""
    import torch

    both = torch.cat([pairs_P2, pairs_P2.flip(1)])
    first, last = int(rows_Q[0]), int(rows_Q[-1])
    both = both[(both[:, 0] >= first) & (both[:, 0] <= last)]
    marked_QB = torch.zeros(len(rows_Q), images, dtype=torch.bool, device=rows_Q.device)
    marked_QB[both[:, 0] - first, both[:, 1]] = True
    return marked_QB
