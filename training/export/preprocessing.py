"""How images are prepared for an exported model, as evaluations do it: a centre crop of 7/8 of the shorter side.

And for which sizes of it other libraries compute what we do.
"""

from training.weights import Weights

RESIZE = 8 / 7
"""The shorter side is resized to so many crop sides before the centre crop (256 / 224)."""


def shorter_side(image_size: int) -> int:
    """Return the shorter side, in pixels, before the centre crop."""
    return round(image_size * RESIZE)


EVERY_SIZE = "The same features at every size that is a multiple of the patch."
ONE_SIZE = (
    "The same features at {size} × {size}. At other sizes it resamples the positions {how}, "
    "which training did not: alike (cosines above .99 for DINOv2's ViT-S of 518 pixels), not the same. Export again "
    "with `--image-size` for them."
)


def sizes_with_antialiasing(weights: Weights) -> str:
    """Return for which images a library that resamples positions with antialiasing has the same features as ours."""
    if weights.positions == "antialiased":
        return EVERY_SIZE
    return ONE_SIZE.format(size=weights.image_size, how="with antialiasing")
