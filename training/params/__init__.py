"""What pre-training depends on, with DINOv2's short ViT-S recipe as defaults.

A length is in steps, samples or epochs (duration.py); resolved.py makes steps of all, once the dataset is known.
"""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from shared.params import Params
from training.params.duration import Length, LengthOrNone
from training.params.model import ModelParams, Positions
from training.params.objective import ObjectiveParams
from training.params.optim import OptimParams
from training.params.phases import PhaseParams
from training.params.views import AugmentParams, CropParams, Share

__all__ = [
    "AugmentParams",
    "CropParams",
    "ModelParams",
    "ObjectiveParams",
    "OptimParams",
    "PhaseParams",
    "Positions",
    "PretrainParams",
    "Share",
]


STEP_AND_PART = re.compile(r"(@\d+)?(:(teacher|student))?$")
"""What may follow a run: the checkpoint, and which model of it."""


class PretrainParams(Params):
    """Self-supervised pre-training on a published dataset."""

    model_config = ConfigDict(title="Pre-training")

    model: ModelParams = ModelParams()
    """The vision transformer."""
    crops: CropParams = CropParams()
    """Views of an image."""
    augment: AugmentParams = AugmentParams()
    """What is done to a view."""
    objective: ObjectiveParams = ObjectiveParams()
    """The losses."""
    optim: OptimParams = OptimParams()
    """The optimizer and its schedules."""
    phases: tuple[PhaseParams, ...] = ()
    """Other sizes of crops from some steps on, such as a last part at high resolution; in order."""
    start: str = ""
    """Weights to start from instead of chance: a run, an exported folder, a file or a name of timm's."""
    start_cut: Literal["none", "first", "even"] = "none"
    """Cut a smaller model out of the weights: its blocks are the first of them, or evenly spaced ones; channels, heads
    and hidden units are evenly spaced. none = the weights must have the model's shape."""
    seed: int = Field(default=0, ge=0)
    """Decides initial weights, order, crops, masks and drop path."""
    checkpoint_every: Length = 3750
    """Length between checkpoints; the last step always has one."""
    keep_checkpoints: int = Field(default=3, ge=1)
    """Newest good checkpoints to keep; the best one that was scored stays too."""
    damaged_share: float = Field(default=0.01, ge=0, le=1)
    """Share of images that may be damaged, each then replaced by another; the run ends above it."""
    keep_every: LengthOrNone = 0
    """Length between checkpoints that stay for good; 0 = none."""
    rank_every: int = Field(default=10, ge=1)
    """Steps between measurements of the teacher's effective rank."""
    knn_every: LengthOrNone = 1000
    """Length between measurements of the teacher's k-NN, where the dataset has labels; 0 = never."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        patch, objective = self.model.patch_size, self.objective
        sizes = {"crops.global_size": self.crops.global_size}
        if self.crops.local_count:
            sizes["crops.local_size"] = self.crops.local_size
        for number, phase in enumerate(self.phases):
            sizes |= {
                f"phases.{number}.global_size": phase.global_size,
                f"phases.{number}.local_size": phase.local_size,
            }
        for name, size in sizes.items():
            if size % patch:
                raise ValueError(
                    f"{name} must be a multiple of model.patch_size, got {size} and {patch}; "
                    f"the nearest are {size // patch * patch or patch} and {(size // patch + 1) * patch}"
                )
        grouped = objective.koleo_weight or self.model.drop_path
        if grouped and self.optim.batch_size % objective.koleo_group:
            raise ValueError(
                "optim.batch_size must be a multiple of objective.koleo_group, "
                f"got {self.optim.batch_size} and {objective.koleo_group}"
            )
        if self.start_cut != "none" and not self.start:
            raise ValueError(f"start_cut needs weights to start from, got start_cut {self.start_cut} and no start")
        self._check_guides()
        if not 0 <= objective.mask_ratio[0] <= objective.mask_ratio[1] < 1:
            raise ValueError(f"objective.mask_ratio must ascend within [0, 1), got {objective.mask_ratio}")
        return self

    @property
    def weights_missing(self) -> dict[str, str]:
        """Those of them that are not where they were; a name without / may be timm's."""
        places = {name: STEP_AND_PART.sub("", spec) for name, spec in self.weights_named.items()}
        return {name: path for name, path in places.items() if "/" in path and not Path(path).expanduser().exists()}

    @property
    def weights_named(self) -> dict[str, str]:
        """The weights that the run takes from elsewhere: what they are for → how they were named."""
        distil, gram = self.objective.distil, self.objective.gram
        named = {"start": self.start, "teacher": distil.teacher if distil else "", "gram": gram.teacher if gram else ""}
        return {name: spec for name, spec in named.items() if spec}

    def _check_guides(self) -> None:
        if self.objective.by_features and self.crops.local_count:
            raise ValueError(
                "objective.distil.targets: features compares crops that student and teacher both see, and needs "
                f"crops.local_count: 0, got {self.crops.local_count}"
            )
        gram = self.objective.gram
        if gram and not (gram.teacher or self.start):
            raise ValueError("objective.gram needs weights to start from, or a teacher of its own, got neither")
