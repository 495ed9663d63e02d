"""Weighted k-NN on frozen features (Wu et al. 2018; the protocol of DINO and DINOv2): exact, nothing is fitted.

The k nearest images of the bank by cosine vote, each with exp(cosine / temperature); equal votes go to the first class.

Shapes: Q queries, B images of the bank, D width, k neighbours, Z classes.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from training.eval.inputs import LabelledFeatures, OmittedError, ScoreRow, score
from training.eval.protocols.evaluation import EvaluationProtocol

if TYPE_CHECKING:
    from torch import Tensor

Neighbours = Annotated[int, Field(ge=1)]


class Knn(EvaluationProtocol):
    """Weighted k-NN."""

    kind: Literal["knn"] = "knn"
    """Do the nearest images of known class name the right one? Nothing is fitted."""
    needs = "labels"
    k: Neighbours = 20
    """Neighbours that vote; DINOv2 reports 20."""
    also: tuple[Neighbours, ...] = (10, 100, 200)
    """Other numbers of neighbours to report beside, each as `top1 k=…`; they share one search."""
    temperature: float = Field(default=0.07, gt=0)
    """A neighbour's vote weighs exp(cosine / temperature)."""

    def scores(self, inputs: LabelledFeatures) -> list[ScoreRow]:
        """Return `top1` for k and `top1 k=…` for the others; a k beyond the bank is left out, and said."""
        inputs.check()
        wanted_ks = dict.fromkeys((self.k, *self.also))
        ks = [k for k in wanted_ks if k <= len(inputs.bank)]
        if not ks:
            raise OmittedError(f"needs a bank of at least {min(wanted_ks)} images, got {len(inputs.bank)}")
        protocol: dict[str, Any] = {"temperature": self.temperature, **inputs.counts}
        if len(ks) < len(wanted_ks):
            protocol["left_out"] = "larger than the bank: k=" + ", ".join(str(k) for k in wanted_ks if k not in ks)
        classes = knn_classes(inputs.queries, inputs.bank, inputs.bank_label, ks=ks, temperature=self.temperature)
        return [
            score(
                self.kind,
                "top1" if k == self.k else f"top1 k={k}",
                float((class_Q == inputs.query_label).double().mean()),
                {"k": k, **protocol},
            )
            for k, class_Q in zip(ks, classes, strict=True)
        ]


def knn_classes(
    queries_QD: "Tensor", bank_BD: "Tensor", bank_label_B: "Tensor", *, ks: list[int], temperature: float
) -> "list[Tensor]":
    """Return, for each k, the class_Q that the k nearest of the bank vote for.

    The slow form:

    for q in range(Q):
        cosines = queries[q] · bank, both on the unit sphere
        for b in the k greatest cosines:
            votes[bank_label[b]] += exp(cosines[b] / temperature)
        class[q] = argmax(votes)
    """
    from training.eval.math.nearest import nearest, votes

    cosine_Qk, row_Qk = nearest(queries_QD, bank_BD, max(ks))
    label_Qk, classes = bank_label_B[row_Qk], int(bank_label_B.max()) + 1
    return [votes(cosine_Qk[:, :k], label_Qk[:, :k], classes, temperature).argmax(dim=1) for k in ks]
