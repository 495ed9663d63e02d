"""Any image model that timm knows, by name, with its own preparation and its pooled features."""

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from curation.embedders.embedding import TorchEmbedding
from curation.models.files import WeightsFile, content

if TYPE_CHECKING:
    from curation.arrays import Array, Floats
    from curation.models.with_timm import Loaded
    from shared.images.picture import Picture


class TimmEmbedder(TorchEmbedding):
    """Pooled features of a timm model, such as vit_small_patch14_dinov2. CLIP models are no copy detectors."""

    kind: Literal["timm"] = "timm"
    """General features: good for look-alikes, weaker for copies. CLIP models find 2 % of the copies: choose others."""
    model: str
    """Its name in timm. A CLIP model is no copy detector."""
    weights: WeightsFile | None = None
    """A .safetensors or .pth file of its weights; by default they are downloaded."""
    size: int = Field(default=0, ge=0)
    """Side of its input in pixels; 0 = its own, which for DINOv2 is 518 and eight times as dear as 224."""

    copy_cosine = 0.9
    """A guess: general features differ. Look at the report's pairs and set dedup.near.threshold."""
    candidate_cosine = 0.7
    shorthand = "model"

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        import shared.images.torchvision_cpu  # noqa: F401, I001  before timm, which imports torchvision
        import timm

        if not timm.is_model(self.model):
            near = difflib.get_close_matches(self.model.partition(".")[0], timm.list_models(), 3)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ValueError(f"model must be a name that timm {timm.__version__} knows, got {self.model!r}{hint}")
        if self.weights is None and not timm.is_model_pretrained(self.model):
            raise ValueError(f"timm offers no weights for {self.model!r}; give a file of them as `weights`")
        return self

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on: the content of the weights, wherever they lie."""
        return super().identity() | ({"weights": content(self.weights)} if self.weights else {})

    def prepared(self, picture: "Picture") -> "Array":
        """Return pixels [height, width, 3], resized and cropped as the model was trained."""
        import numpy as np

        return np.asarray(self._loaded().prepare(picture.image)).transpose(1, 2, 0)

    def vectors(self, prepared: "Sequence[Array]") -> "Floats":
        """Return unit vectors, as wide as the model."""
        from curation.models.network import normalised, unit

        network, _, config = self._loaded()
        return unit(network([normalised(pixels, config["mean"], config["std"]) for pixels in prepared]))

    def _loaded(self) -> "Loaded":
        from curation.models.with_timm import load_timm

        held = content(self.weights) if self.weights else None
        return load_timm(self.model, self.weights, held, self.size, self.precision)
