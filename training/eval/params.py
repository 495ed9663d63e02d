"""What evaluation depends on."""

from typing import Literal

from pydantic import ConfigDict, Field

from shared.dataset_version import Published
from shared.params import Params, fingerprint
from training.eval.protocols import DEFAULT_EVALUATIONS, Evaluation
from training.eval.sets import DatasetSet, LabelledSet


class EvaluateParams(Params):
    """How checkpoints are scored."""

    model_config = ConfigDict(title="Evaluation")

    evaluations: tuple[Evaluation, ...] = DEFAULT_EVALUATIONS
    """What to measure: kinds, or kinds with their settings. What a set has no truth for is left out, and said."""
    sets: tuple[LabelledSet, ...] = (DatasetSet(),)
    """What to measure on; by default the published dataset, whose held-out tenth is asked."""
    features: Literal["cls", "patch_mean", "cls+patch_mean"] = "cls"
    """What stands for an image: the CLS token, the mean of its patches, or both side by side."""
    layer: int = Field(default=0, ge=0)
    """The block after which a model is read, from 1; 0 = its last."""
    image_size: int = Field(default=0, ge=0)
    """Side of the centre crop, in pixels; 0 = that of a model's training (a run's global crop), at most 224."""
    positions: Literal["auto", "antialiased", "offset"] = "auto"
    """How positions are resampled where that is not the size they were made for: auto = as when the model was trained,
    antialiased (timm's way), or with DINOv2's offset of .1 and without antialiasing."""
    resize: float = Field(default=1.143, ge=1)
    """The shorter side is resized to so many crop sides before the centre crop (256 / 224)."""
    bank_limit: int = Field(default=100_000, ge=1)
    """Training images to compare with, at most, drawn evenly."""
    query_limit: int = Field(default=50_000, ge=1)
    """Held-out images to score, at most, drawn evenly."""
    mask_limit: int = Field(default=1000, ge=1)
    """Images with masks to learn from, and to score, at most, drawn evenly: each takes a feature for every patch."""
    batch_size: int = Field(default=64, ge=1)
    """Images in a forward pass."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of a model's matrix products; what is made of its features is computed in fp32. auto = bf16 where the device has
    instructions for it."""
    pictures: int = Field(default=6, ge=0)
    """Images that pictures are made of: principal components, attention, nearest neighbours; 0 = none."""
    baselines: bool = True
    """Also score the untrained model and 16×16 pixels, once for a run."""

    @property
    def needs_second_view(self) -> bool:
        """Whether an evaluation needs a second view of images."""
        return any(evaluation.second_view for evaluation in self.evaluations)


def score_fingerprint(stage_version: int, params: EvaluateParams, dataset: Published) -> str:
    """Name what scores depend on, beside the checkpoint: also what other sets than the dataset hold now."""
    contents = [content for content in (one.content() for one in params.sets) if content]
    return fingerprint("evaluate", stage_version, params.identity(), dataset.name, dataset.content_version, *contents)
