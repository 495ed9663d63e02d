"""How near two views of an image lie, without labels: alignment (Wang & Isola 2020).

The mean over images of |f(x) - f(x')|², on the unit sphere, where x' is another view of x: a random crop that may be
flipped. 0 = the views look the same, which a collapsed model reaches too: read it beside uniformity.

Shapes: B images, D width.
"""

from typing import TYPE_CHECKING, Literal

from training.eval.inputs import ImageFeatures, OmittedError, ScoreRow, score
from training.eval.protocols.evaluation import EvaluationProtocol

if TYPE_CHECKING:
    from torch import Tensor


class Alignment(EvaluationProtocol):
    """How near two views of an image lie."""

    kind: Literal["alignment"] = "alignment"
    """Do two views of an image look alike? 0 = the same, 2 = unrelated. Needs no labels."""
    needs = "images"
    second_view = True

    def scores(self, inputs: ImageFeatures) -> list[ScoreRow]:
        """Return `loss`."""
        inputs.check()
        if inputs.again is None:
            raise OmittedError("needs another view of each image, got none")
        protocol = {"images": len(inputs.again), "alpha": 2, "views": "centre crop, random crop", "better": "lower"}
        return [score(self.kind, "loss", alignment(inputs.seen_twice, inputs.again), protocol)]


def alignment(features_BD: "Tensor", again_BD: "Tensor") -> float:
    """Return mean over b of |x_b - x'_b|², both on the unit sphere."""
    from training.eval.math.nearest import unit

    return float((unit(features_BD) - unit(again_BD)).square().sum(dim=1).mean())
