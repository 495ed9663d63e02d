"""How many directions features really use, without labels: RankMe's entropy of singular values (Garrido et al. 2023).

Shapes: B images, D width.
"""

from typing import TYPE_CHECKING, Literal

from training.eval.inputs import ImageFeatures, ScoreRow, score
from training.eval.protocols.evaluation import EvaluationProtocol

if TYPE_CHECKING:
    from torch import Tensor


class EffectiveRank(EvaluationProtocol):
    """The effective rank of features."""

    kind: Literal["effective_rank"] = "effective_rank"
    """How many directions do the features use? 1 = collapsed, at most the width. Needs no labels."""
    needs = "images"

    def scores(self, inputs: ImageFeatures) -> list[ScoreRow]:
        """Return `rank`."""
        inputs.check()
        protocol = {"images": len(inputs.features), "centred": True}
        return [score(self.kind, "rank", effective_rank(inputs.features), protocol)]


def effective_rank(features_BD: "Tensor") -> float:
    """Return exp of the entropy of the singular values of centred features: 1 = collapsed, at most min(B, D).

    p = singular / sum(singular); exp(-sum(p · log p)). Features that are all the same give 1.
    """
    import torch

    x_BD = features_BD.detach().float()
    singular = torch.linalg.svdvals(x_BD - x_BD.mean(dim=0))
    total = singular.sum()
    if total <= 1e-6 * x_BD.norm().clamp_min(1e-12):
        return 1.0
    return float(torch.special.entr(singular / total).sum().exp())
