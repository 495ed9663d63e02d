"""A vision transformer's weights from wherever they come, under one set of names: timm's.

Used to start a run from, to evaluate and to export. One module for each origin.
"""

from dataclasses import dataclass, field

from torch import Tensor

from training.model import COLOUR_MEAN, COLOUR_STD
from training.params import ModelParams


@dataclass(frozen=True)
class Weights:
    """A backbone's parameters, and what is needed to build the model that takes them."""

    title: str
    """What tables call it."""
    content: str
    """Changes when anything changes that its features depend on."""
    model: ModelParams
    """The architecture; training-only fields are at their defaults."""
    image_size: int
    """Side of the images that the position embedding is made for."""
    vit: dict[str, Tensor]
    """timm's VisionTransformer: loads with strict=True into `Backbone(model, image_size).vit`."""
    mask_token: Tensor | None = None
    """mask_D, where the origin has one."""
    heads: dict[str, Tensor] = field(default_factory=dict)
    """`head.…` and `patch_head.…` of a Student, where the origin has them."""
    mean: tuple[float, ...] = COLOUR_MEAN
    std: tuple[float, ...] = COLOUR_STD
