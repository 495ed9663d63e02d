"""Rules that hold one signal against one number. Defaults follow cleanvision unless a line says why not."""

from typing import Literal

from curation.quality import signals
from curation.quality.rule import QualityRule


class TooSmall(QualityRule):
    """The shorter side has too few pixels."""

    kind: Literal["too_small"] = "too_small"
    """Shorter side, in pixels."""
    signal = signals.SHORTER_SIDE
    phrase = "shorter side {} px"
    threshold: float = 32
    """Drop when the shorter side has fewer pixels than this."""


class TooLarge(QualityRule):
    """The image has too many pixels."""

    kind: Literal["too_large"] = "too_large"
    """Area, in megapixels."""
    signal = signals.MEGAPIXELS
    below = False
    phrase = "{} megapixels"
    threshold: float = 100
    """Drop when the image has more megapixels than this."""


class OddAspect(QualityRule):
    """A strip: one side is several times the other."""

    kind: Literal["odd_aspect"] = "odd_aspect"
    """Shorter side / longer side."""
    signal = signals.ASPECT
    phrase = "side ratio {}"
    threshold: float = 0.25
    """Drop when shorter side / longer side is below this. cleanvision's 0.35 also drops wide photographs: nine in a
    thousand of Caltech-101's, most of them aeroplanes."""


class Dark(QualityRule):
    """Even the brightest pixels are dark."""

    kind: Literal["dark"] = "dark"
    """99th percentile of perceived brightness."""
    signal = signals.LUMA_P99
    phrase = "brightest pixels {}"
    threshold: float = 0.32
    """Drop when 99 % of the pixels are darker than this, 0 black to 1 white."""


class Bright(QualityRule):
    """Even the darkest pixels are bright."""

    kind: Literal["bright"] = "bright"
    """5th percentile of perceived brightness."""
    signal = signals.LUMA_P5
    below = False
    phrase = "darkest pixels {}"
    threshold: float = 0.95
    """Drop when 95 % of the pixels are brighter than this, 0 black to 1 white."""


class LowInformation(QualityRule):
    """A blank, a gradient or a few flat colours."""

    kind: Literal["low_information"] = "low_information"
    """Entropy of the gray histogram, in bits."""
    signal = signals.ENTROPY
    phrase = "entropy {} bits"
    threshold: float = 1.5
    """Drop when the gray histogram has fewer bits of entropy than this, 0 to 8. Blanks have less than 1; cleanvision's
    3.0 also drops photographs of things on plain ground: eighteen in a thousand of Caltech-101's."""


class Blurry(QualityRule):
    """No sharp edges are left."""

    kind: Literal["blurry"] = "blurry"
    """Blur score, 0 blurred to 1 sharp."""
    signal = signals.SHARPNESS
    phrase = "sharpness {}"
    threshold: float = 0.29
    """Drop when edge strength and histogram peaks together are below this."""
