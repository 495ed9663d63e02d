"""Segmentation by a linear classifier of single patches: what a patch's feature knows of its own pixels.

Multinomial logistic regression on standardised patch features of the bank, with an l2 that is fixed in advance. A
patch's class is that of most of its pixels; pixels that are ignored count for nothing. Of a large bank so many patches
are drawn evenly. Judged on all queries by mean IoU over the classes that their masks hold, at the masks' resolution.

Shapes: B images of the bank, Q queries, N patches, D width, M patches to fit on, Z classes.
"""

from typing import Literal

from pydantic import Field

from training.eval.inputs import PatchFeatures, ScoreRow
from training.eval.protocols.evaluation import EvaluationProtocol


class LinearSegmentation(EvaluationProtocol):
    """Segmentation by a linear classifier of patches."""

    kind: Literal["linear_segmentation"] = "linear_segmentation"
    """Can a linear classifier name what a patch shows?"""
    needs = "masks"
    l2: float = Field(default=1e-3, gt=0)
    """Weight of half the squared norm."""
    steps: int = Field(default=100, ge=1)
    """L-BFGS iterations, at most."""
    patches: int = Field(default=200_000, ge=2)
    """Patches of the bank to fit on, at most, drawn evenly."""
    seed: int = 0
    """Of that draw."""

    def scores(self, inputs: PatchFeatures) -> list[ScoreRow]:
        """Return `miou` and `miou patches`, with the IoU of every class."""
        from training.eval.math.logistic_regression import Logistic, Standard
        from training.eval.math.miou import labelled_patches, segmentation_scores

        inputs.check()
        x_MD, class_M = labelled_patches(inputs, self.patches, self.seed)
        standard = Standard.of(x_MD)
        zero = Logistic.zero(len(inputs.classes), x_MD.shape[1], like=standard(x_MD))
        probe = zero.fitted(standard(x_MD), class_M, l2=self.l2, steps=self.steps)
        protocol = {
            "classifier": "logistic regression on standardised patches",
            "solver": f"L-BFGS, at most {self.steps} steps",
            "l2": self.l2,
            "patches": len(x_MD),
        }
        return segmentation_scores(self.kind, probe(standard(inputs.queries)), inputs, protocol)
