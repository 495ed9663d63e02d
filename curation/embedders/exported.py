"""Embedders from a file that holds a whole model: TorchScript, as SSCD comes, or ONNX.

SSCD (Pizzi et al. 2022, MIT) is the recommended copy detector: `sscd_disc_mixup.torchscript.pt` from
github.com/facebookresearch/sscd-copy-detection. Its page offers two preparations: the shorter side at 288, or
the image squashed to 320 × 320. The second is the default here: images of one shape, and nothing cut off.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from curation.embedders.embedding import Embedding, TorchEmbedding
from curation.models.files import ONNX, load_model, runs_on_gpu
from curation.models.image_model import LookingModel

if TYPE_CHECKING:
    from curation.arrays import Array, Floats
    from curation.models.network import Network


class ExportedEmbedder(LookingModel, Embedding):
    """A model that returns a vector for each image."""

    size: int = Field(default=320, ge=1)
    """Side in pixels to which images are squashed; 320 is SSCD's."""

    copy_cosine = 0.6
    """DINOv2's rule for SSCD; 0.75 has 90 % precision on DISC. Other models need their own dedup.near.threshold."""
    candidate_cosine = 0.45
    """What DINOv2 asked of SSCD beside evaluation sets."""
    shorthand = "path"

    def vectors(self, prepared: "Sequence[Array]") -> "Floats":
        """Return unit vectors, as wide as the model makes them."""
        from curation.models.network import unit

        return unit(self.rows(prepared))


class TorchScriptEmbedder(ExportedEmbedder, TorchEmbedding):
    """A TorchScript file; the recommended one is SSCD's sscd_disc_mixup.torchscript.pt."""

    kind: Literal["torchscript"] = "torchscript"
    """A trained copy detector, such as SSCD: sees crops, borders, overlays and edits."""

    @model_validator(mode="after")
    def _onnx_has_its_own_precision(self) -> Self:
        if self.precision != "fp32" and self.path.endswith(ONNX):
            raise ValueError(f"precision {self.precision} needs a TorchScript file, got {self.path}; export it so")
        return self

    def _network(self) -> "Network":
        return load_model(self.path, self.precision)


class OnnxEmbedder(ExportedEmbedder):
    """An ONNX file, run by onnxruntime; needs `pip install 'dinoflow[onnx]'`."""

    kind: Literal["onnx"] = "onnx"
    """Any model in a file that ends in .onnx."""

    @field_validator("path")
    @classmethod
    def _is_called_so(cls, path: str) -> str:
        if not path.endswith(ONNX):
            raise ValueError(
                f"needs a file whose name ends in .onnx, got {path}; for TorchScript choose the kind torchscript"
            )
        return path

    @property
    def on_gpu(self) -> bool:
        """Whether its vectors are made on a GPU where there is one."""
        return runs_on_gpu(self.path)
