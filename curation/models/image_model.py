"""Settings of a model in a file that looks at images: which file, and how it wants its pixels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from curation.models.files import ModelFile, content, load_model
from shared.params import Params

if TYPE_CHECKING:
    from curation.arrays import Array, Floats
    from curation.models.network import Network
    from shared.images.picture import Picture

Colour = tuple[float, float, float]

IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)


class LookingModel(Params):
    """A model from a file; the whole image is squashed to a square, so that no part of it is cut off."""

    path: ModelFile
    """The file with the whole model: TorchScript, or ONNX if its name ends in .onnx."""
    size: int = Field(default=224, ge=1)
    """Side in pixels to which images are squashed: what the model was trained at."""
    mean: Colour = IMAGENET_MEAN
    """Taken from red, green and blue, which go from 0 to 1; ImageNet's by default."""
    std: Colour = IMAGENET_STD
    """What red, green and blue are divided by after that; ImageNet's by default."""

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on: the file's content, wherever it lies."""
        return super().identity() | {"path": content(self.path)}

    def prepared(self, picture: "Picture") -> "Array":
        """Return the pixels [size, size, 3] of the whole image."""
        return picture.squashed(self.size)

    def rows(self, prepared: "Sequence[Array]") -> "Floats":
        """Return what the model says of prepared pictures, a row each."""
        from curation.models.network import normalised

        return self._network()([normalised(pixels, self.mean, self.std) for pixels in prepared])

    def _network(self) -> "Network":
        return load_model(self.path)
