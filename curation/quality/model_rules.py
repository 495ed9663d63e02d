"""Rules of models that you bring: what is in the picture, and whether it is worth looking at. Off by default.

With `input: embedding` the model is a head on the stored vectors: neither a new threshold nor a new head reads a
pixel. With `input: pixels` it runs while images are measured, and only a new threshold is free.
"""

from typing import Any, Literal

from pydantic import Field

from curation.models.files import ModelFile, content
from curation.models.image_model import IMAGENET_MEAN, IMAGENET_STD, Colour
from curation.quality.rule import QualityRule
from curation.quality.scorer import Scorer


class ModelRule(QualityRule):
    """Drop an image by the score that a model gives it."""

    kind: str
    signal = None
    phrase = "model score {}"
    by_default = False
    model: ModelFile
    """The file with the model: TorchScript, or ONNX if its name ends in .onnx."""
    input: Literal["embedding", "pixels"] = "embedding"
    """embedding = it scores the stored vectors, of the embedder it was trained on. pixels = it looks at images."""
    output: int = -1
    """Which of the model's numbers is the score, counted from 0; -1 = the last."""
    size: int = Field(default=224, ge=1)
    """pixels: side to which images are squashed."""
    mean: Colour = IMAGENET_MEAN
    """pixels: taken from red, green and blue, which go from 0 to 1; ImageNet's by default."""
    std: Colour = IMAGENET_STD
    """pixels: what they are divided by after that; ImageNet's by default."""

    def identity(self) -> dict[str, Any]:
        """Return what the verdicts depend on: the model's content, wherever it lies."""
        return super().identity() | {"model": content(self.model)}

    @property
    def scorer(self) -> Scorer | None:
        """What measuring must do for this rule; None where stored vectors are enough."""
        if self.input == "embedding":
            return None
        return Scorer(path=self.model, output=self.output, size=self.size, mean=self.mean, std=self.std)


class LowAesthetic(ModelRule):
    """A model that was taught by people's taste rates it low."""

    kind: Literal["low_aesthetic"] = "low_aesthetic"
    """Score of a model that you bring, such as LAION's head on CLIP vectors, from about 1 to 10."""
    threshold: float = 4.5
    """Drop when the score is below this. LAION's scores: below 4.5 poor, above 6 good; other models: other scales."""


class Nsfw(ModelRule):
    """A model takes it for nudity, pornography or violence."""

    kind: Literal["nsfw"] = "nsfw"
    """Probability from a model that you bring, 0 to 1."""
    below = False
    threshold: float = 0.5
    """Drop when the probability is above this; 0.1 finds more, and drops more that is harmless."""
