"""Rules that hold one signal against one number. Defaults follow cleanvision unless a line says why not."""

from typing import ClassVar, Literal

from shared.params import Params


class Threshold(Params):
    """Drop an image whose signal lies below (or above) the threshold."""

    signal: ClassVar[str]
    below: ClassVar[bool] = True
    threshold: float


class TooSmall(Threshold):
    """The shorter side has fewer pixels than the threshold."""

    kind: Literal["too_small"] = "too_small"
    """Shorter side, in pixels."""
    signal = "shorter_side"
    threshold: float = 32
    """Drop when the shorter side has fewer pixels than this."""


class TooLarge(Threshold):
    """The image has more pixels than the threshold."""

    kind: Literal["too_large"] = "too_large"
    """Area, in megapixels."""
    signal = "megapixels"
    below = False
    threshold: float = 100
    """Drop when the image has more megapixels than this."""


class OddAspect(Threshold):
    """The image is a strip."""

    kind: Literal["odd_aspect"] = "odd_aspect"
    """Shorter side / longer side."""
    signal = "aspect"
    threshold: float = 0.25
    """Drop when shorter side / longer side is below this. cleanvision's 0.35 also drops wide photographs: nine in a
    thousand of Caltech-101's, most of them aeroplanes."""


class Dark(Threshold):
    """Even its brightest pixels are dark."""

    kind: Literal["dark"] = "dark"
    """99th percentile of perceived brightness."""
    signal = "luma_p99"
    threshold: float = 0.32
    """Drop when 99 % of the pixels are darker than this, 0 black to 1 white."""


class Bright(Threshold):
    """Even its darkest pixels are bright."""

    kind: Literal["bright"] = "bright"
    """5th percentile of perceived brightness."""
    signal = "luma_p5"
    below = False
    threshold: float = 0.95
    """Drop when 95 % of the pixels are brighter than this, 0 black to 1 white."""


class LowInformation(Threshold):
    """A blank, a gradient, a few flat colours."""

    kind: Literal["low_information"] = "low_information"
    """Entropy of the gray histogram, in bits."""
    signal = "entropy"
    threshold: float = 1.5
    """Drop when the gray histogram has fewer bits of entropy than this, 0 to 8. Blanks have less than 1; cleanvision's
    3.0 also drops photographs of things on plain ground: eighteen in a thousand of Caltech-101's."""


class Blurry(Threshold):
    """No edges left."""

    kind: Literal["blurry"] = "blurry"
    """Blur score, 0 blurred to 1 sharp."""
    signal = "sharpness"
    threshold: float = 0.29
    """Drop when edge strength and histogram peaks together are below this."""
