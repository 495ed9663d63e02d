"""How near two views of an image lie, without labels: alignment (Wang & Isola 2020).

The mean over images of |f(x) - f(x')|², on the unit sphere, where x' is another view of x: a random crop that may be
flipped. 0 = the views look the same, which a collapsed model reaches too: read it beside uniformity.

Shapes: B images, D width.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from shared.params import Params
from training.eval.inputs import OmittedError, Score, SeenImages, score
from training.eval.sets.labelled import Needs

if TYPE_CHECKING:
    from torch import Tensor


class Alignment(Params):
    """How near two views of an image lie."""

    kind: Literal["alignment"] = "alignment"
    """Do two views of an image look alike? 0 = the same, 2 = unrelated. Needs no labels."""
    needs: ClassVar[Needs] = "images"

    def scores(self, seen: SeenImages) -> list[Score]:
        """Return `loss`."""
        seen.check()
        if seen.again is None:
            raise OmittedError("needs another view of each image, got none")
        protocol = {"images": len(seen.features), "alpha": 2, "views": "centre crop, random crop", "better": "lower"}
        return [score(self.kind, "loss", alignment(seen.features, seen.again), protocol)]


def alignment(features_BD: "Tensor", again_BD: "Tensor") -> float:
    """Return mean over b of |x_b - x'_b|², both on the unit sphere."""
    from training.eval.math.nearest import unit

    return float((unit(features_BD) - unit(again_BD)).square().sum(dim=1).mean())
