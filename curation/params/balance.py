"""Whether frequent kinds of images are thinned out: the parameters of balance."""

import itertools
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from shared.params import Params

ALL = 1 + 1e-9
"""Shares that make one, but for rounding."""


class BalanceParams(Params):
    """Whether frequent kinds of images are thinned out.

    What counts as a kind is what the embedder sees: choose a trained one. The descriptor sees layout, not content.
    """

    model_config = ConfigDict(title="Balance")

    enabled: bool = False
    """Find out which kinds of images are frequent, and keep of each as much as of the others."""
    how: Literal["sample", "weight"] = "sample"
    """sample = leave out images of frequent kinds. weight = keep all, and let training see rare kinds more often."""
    target: float = Field(default=0.5, gt=0)
    """Images to keep: up to 1 a share of those that are left, above 1 their number. With weights: images in an epoch
    of training, so many draws."""
    heaviest: float = Field(default=3.0, ge=1)
    """With weights: an image counts at most so many times what the average one does."""
    shares: dict[str, float] = Field(default_factory=dict)
    """Source and its share of what is kept, as {web: 0.7, photos: 0.3}; other sources share the rest. Each is balanced
    by itself. {} = whatever balance makes of them."""
    levels: tuple[int, ...] = ()
    """Clusters on each level of a hierarchy, the finest first, sampled as Vo et al. do; [] = one level of 10·√n
    clusters, at most n/3 and 10,000, and which of them are alike is measured."""
    iterations: int = Field(default=20, ge=1)
    """Iterations of k-means in every fit of the given levels, at most."""
    rounds: int = Field(default=3, ge=0)
    """Times that each of the given levels is fitted again on the images closest to its centroids."""
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

    @model_validator(mode="after")
    def _shares_are_parts_of_one(self) -> Self:
        if min(self.shares.values(), default=1) <= 0 or sum(self.shares.values()) > ALL:
            raise ValueError(f"shares are above 0 and together at most 1, got {self.shares}")
        return self

    def images(self, left: int) -> int:
        """Return how many of the images that are left are kept, or drawn in an epoch."""
        wanted = round(self.target * left if self.target <= 1 else self.target)
        return wanted if self.how == "weight" else min(left, wanted)

    @property
    def idle(self) -> bool:
        """Off by default."""
        return not self.enabled
