"""Which crops are cut out of an image, and how their colours are changed."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from shared.params import Params

Share = tuple[float, float]
"""From and to, each of a whole."""


class CropParams(Params):
    """How many views of an image there are, and of what size."""

    former_names: ClassVar = {
        f"{kind}_{what}": f"{former}_{what}"
        for kind, former in (("global", "large"), ("local", "small"))
        for what in ("size", "count", "scale")
    }

    global_size: int = Field(default=224, ge=1)
    """Side of a global crop, in pixels."""
    global_count: int = Field(default=2, ge=2)
    """Global crops of an image: student and teacher see them."""
    global_scale: Share = (0.32, 1.0)
    """Share of the image's area that a global crop covers, from and to."""
    local_size: int = Field(default=98, ge=1)
    """Side of a local crop, in pixels."""
    local_count: int = Field(default=8, ge=0)
    """Local crops of an image: only the student sees them."""
    local_scale: Share = (0.05, 0.32)
    """Share of the image's area that a local crop covers, from and to."""
    shrink: int = Field(default=0, ge=0)
    """Shorter side to which images are shrunk before cropping, so that they can be kept in memory; 0 = as they are."""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """How many crops of an image there are, and their side: the global ones, then the local ones if any."""
        global_crops, local_crops = (self.global_count, self.global_size), (self.local_count, self.local_size)
        return [global_crops, local_crops] if self.local_count else [global_crops]

    @model_validator(mode="after")
    def _scales_ascend(self) -> Self:
        for name, (low, high) in {"global": self.global_scale, "local": self.local_scale}.items():
            if not 0 < low <= high <= 1:
                raise ValueError(f"crops.{name}_scale must ascend within (0, 1], got {low} to {high}")
        return self


class AugmentParams(Params):
    """Chances and strengths of what is done to a crop. Each chance is the chance that it happens."""

    former_names: ClassVar = {
        "blur_global_first": "blur_first",
        "blur_global_other": "blur_other",
        "blur_local": "blur_small",
    }

    flip: float = Field(default=0.5, ge=0, le=1)
    """Chance of a left-right flip."""
    jitter: float = Field(default=0.8, ge=0, le=1)
    """Chance of a colour jitter."""
    brightness: float = Field(default=0.4, ge=0)
    """Brightness factor, 1 plus or minus this."""
    contrast: float = Field(default=0.4, ge=0)
    """Contrast factor, 1 plus or minus this."""
    saturation: float = Field(default=0.2, ge=0)
    """Saturation factor, 1 plus or minus this."""
    hue: float = Field(default=0.1, ge=0, le=0.5)
    """Shift around the colour circle, plus or minus this share of it."""
    gray: float = Field(default=0.2, ge=0, le=1)
    """Chance of losing all colour."""
    blur_global_first: float = Field(default=1.0, ge=0, le=1)
    """Chance of a blur on the first global crop. DINOv2 states 1 but its code inverts it to 0."""
    blur_global_other: float = Field(default=0.1, ge=0, le=1)
    """Chance of a blur on the other global crops."""
    blur_local: float = Field(default=0.5, ge=0, le=1)
    """Chance of a blur on a local crop."""
    blur_sigma: Share = (0.1, 2.0)
    """Standard deviation of the blur, in pixels of the crop, from and to."""
    solarise: float = Field(default=0.2, ge=0, le=1)
    """Chance of inverting bright pixels of the global crops after the first."""
