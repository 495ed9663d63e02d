"""Whether frequent kinds of images are thinned out: the parameters of balance."""

import itertools
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from shared.params import Params


class BalanceParams(Params):
    """Whether frequent kinds of images are thinned out.

    What counts as a kind is what the embedder sees: choose a trained one. The descriptor sees layout, not content.
    """

    model_config = ConfigDict(title="Balance")

    enabled: bool = False
    """Cluster the images that are left by hierarchical k-means, and sample evenly over the clusters."""
    target: float = Field(default=0.5, gt=0)
    """Images to keep: up to 1 a share of those that are left, above 1 their number."""
    levels: tuple[int, ...] = ()
    """Clusters on each level, the finest first; [] = one for 50 images, at most 10,000, then a tenth, down to ten."""
    iterations: int = Field(default=20, ge=1)
    """Iterations of k-means in every fit."""
    rounds: int = Field(default=3, ge=0)
    """Times that each level is fitted again on the images closest to its centroids."""
    points: int = Field(default=0, ge=0)
    """So many of the closest images in such a round; 0 = half the mean size of a cluster, at most 16."""
    pick: Literal["random", "closest"] = "random"
    """Which images of a cluster are taken."""
    seed: int = 0
    """Decides every choice that is left to chance."""

    @model_validator(mode="after")
    def _levels_fall(self) -> Self:
        if any(coarse >= fine for fine, coarse in itertools.pairwise(self.levels)) or min(self.levels, default=1) < 1:
            raise ValueError(f"levels are numbers of clusters, each smaller than the one before, got {self.levels}")
        return self

    def images(self, left: int) -> int:
        """Return how many of the images that are left are kept."""
        return min(left, round(self.target * left if self.target <= 1 else self.target))

    @property
    def idle(self) -> bool:
        """Off by default."""
        return not self.enabled
