"""The loop closes: a backbone that this pipeline has trained embeds the images of the next curation.

Curation and training meet only on disk, and here by name, as stages do: neither imports the other.
"""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from curation.embedders.embedding import TorchEmbedding
from shared.errors import WorkspaceError

if TYPE_CHECKING:
    from curation.arrays import Array, Floats
    from curation.models.network import Network
    from curation.models.with_torch import Precision
    from shared.images.picture import Picture

LOADER = "training.eval.embed"


class RunEmbedder(TorchEmbedding):
    """The teacher's CLS token of a run of this pipeline."""

    kind: Literal["run"] = "run"
    """A backbone trained here: learns your kind of images, but copies are not what it is trained to find."""
    path: str
    """The run's folder, WORKSPACE/runs/RUN."""
    step: int | None = Field(default=None, ge=0)
    """Which checkpoint; by default the newest that is there when the recipe is read."""
    size: int = Field(default=0, ge=0)
    """Side in pixels to which images are squashed, a multiple of the run's patch size; 0 = its large crops."""

    copy_cosine = 0.95
    """A guess: it depends on the run. Look at the report's pairs and set dedup.near.threshold."""
    candidate_cosine = 0.7
    shorthand = "path"

    @model_validator(mode="after")
    def _settled(self) -> Self:
        """Settle step and size now: a run that still trains must not change what one curation is made with."""
        try:
            run = import_module(LOADER).describe(str(Path(self.path).expanduser()), self.step)
        except WorkspaceError as error:
            raise ValueError(str(error)) from None
        size = self.size or run.size
        if size % run.patch_size:
            raise ValueError(f"size must be a multiple of the run's patch size {run.patch_size}, got {size}")
        for name, value in {"path": run.path, "step": run.step, "size": size}.items():
            object.__setattr__(self, name, value)
        return self

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on: the teacher, wherever its run lies."""
        teacher = import_module(LOADER).describe(self.path, self.step).content
        other = {} if self.precision == "fp32" else {"precision": self.precision}
        return {"kind": self.kind, "teacher": teacher, "size": self.size, **other}

    def prepared(self, picture: "Picture") -> "Array":
        """Return the pixels [3, size, size] of the whole image."""
        return picture.squashed(self.size).transpose(2, 0, 1)

    def vectors(self, prepared: "Sequence[Array]") -> "Floats":
        """Return unit vectors, as wide as the backbone."""
        from curation.models.network import unit

        content = import_module(LOADER).describe(self.path, self.step).content
        return unit(_load(self.path, self.step, content, self.precision)(prepared))


@cache
def _load(path: str, step: int, content: str, precision: "Precision") -> "Network":
    from curation.models.with_torch import device, torch_network

    return torch_network(path, import_module(LOADER).load(path, step, device()), precision)
