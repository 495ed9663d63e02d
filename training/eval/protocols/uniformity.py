"""How evenly features fill the sphere, without labels: uniformity (Wang & Isola 2020).

log of the mean over all pairs of different images of exp(-2 |x - y|²), on the unit sphere: 0 = all features are the
same, about -4 = spread evenly. Lower is more even. Says nothing of whether like images lie together: see alignment.

Shapes: B images, D width.
"""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from training.eval.inputs import ImageFeatures, ScoreRow, score
from training.eval.protocols.evaluation import EvaluationProtocol

if TYPE_CHECKING:
    from torch import Tensor


class Uniformity(EvaluationProtocol):
    """How evenly features fill the sphere."""

    kind: Literal["uniformity"] = "uniformity"
    """Are the features spread over the whole sphere? 0 = all the same, about -4 = evenly. Needs no labels."""
    needs = "images"
    images: int = Field(default=10_000, ge=2)
    """Images to compare with each other, at most, drawn evenly: the work grows with the square."""
    seed: int = 0
    """Of that draw."""

    def scores(self, inputs: ImageFeatures) -> list[ScoreRow]:
        """Return `loss`."""
        from training.eval.math.splits import drawn

        inputs.check()
        rows = drawn(len(inputs.features), self.images, self.seed)
        protocol = {"images": len(rows), "t": 2, "pairs": "all of different images", "better": "lower"}
        return [score(self.kind, "loss", uniformity(inputs.features[rows]), protocol)]


def uniformity(features_BD: "Tensor") -> float:
    """Return log mean over b < c of exp(-2 |x_b - x_c|²), x on the unit sphere."""
    import torch

    from training.eval.math.nearest import rows_at_once, unit

    x_BD = unit(features_BD)
    square_B, total, count = x_BD.square().sum(dim=1), 0.0, len(x_BD)
    rows = rows_at_once(count)
    for part_QD, square_Q in zip(torch.split(x_BD, rows), torch.split(square_B, rows), strict=True):
        distance_QB = (square_Q[:, None] + square_B - 2 * part_QD @ x_BD.T).clamp_min(0)
        total += float((-2 * distance_QB).exp().sum())
    return float(torch.tensor((total - count) / (count * (count - 1)), dtype=torch.float64).log())
