"""Segmentation by the nearest patches of the bank: nothing is fitted.

The k nearest patches of the bank by cosine vote for their class, each with exp(cosine / temperature); the shares of
votes are what is drawn out to pixels. A patch's class is that of most of its pixels. Of a large bank so many patches
are drawn evenly. Judged as linear_segmentation is.

Shapes: B images of the bank, Q queries, N patches, D width, M patches of the bank, Z classes, k neighbours.
"""

from typing import Literal

from pydantic import Field

from training.eval.inputs import PatchFeatures, ScoreRow
from training.eval.protocols.evaluation import EvaluationProtocol


class KnnSegmentation(EvaluationProtocol):
    """Segmentation by nearest patches."""

    kind: Literal["knn_segmentation"] = "knn_segmentation"
    """Do the nearest patches of known class name what a patch shows? Nothing is fitted."""
    needs = "masks"
    k: int = Field(default=20, ge=1)
    """Patches that vote; all, where the bank has fewer."""
    temperature: float = Field(default=0.07, gt=0)
    """A patch's vote weighs exp(cosine / temperature)."""
    patches: int = Field(default=50_000, ge=2)
    """Patches of the bank, at most, drawn evenly."""
    seed: int = 0
    """Of that draw."""

    def scores(self, inputs: PatchFeatures) -> list[ScoreRow]:
        """Return `miou` and `miou patches`, with the IoU of every class."""
        from training.eval.math.miou import labelled_patches, segmentation_scores
        from training.eval.math.nearest import nearest, votes

        inputs.check()
        bank_MD, class_M = labelled_patches(inputs, self.patches, self.seed)
        k = min(self.k, len(bank_MD))
        cosine, row = nearest(inputs.queries.flatten(0, 1), bank_MD, k)
        share = votes(cosine, class_M[row], len(inputs.classes), self.temperature)
        share = share / share.sum(dim=1, keepdim=True)
        protocol = {"k": k, "temperature": self.temperature, "patches": len(bank_MD)}
        return segmentation_scores(self.kind, share.view(*inputs.queries.shape[:2], -1), inputs, protocol)
