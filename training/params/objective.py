"""The losses, the heads that they look through, and what the teacher's targets are made of."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.params import Params
from training.params.duration import LengthOrNone
from training.params.guides import DistilParams, GramParams
from training.params.views import Share

Temperature = Annotated[float, Field(ge=0.02)]
"""exp(1 / 0.02), summed over all prototypes, still fits into fp32."""


class ObjectiveParams(Params):
    """DINO on CLS, iBOT on masked patches, KoLeo (Oquab et al. 2024)."""

    prototypes: int = Field(default=65536, ge=2)
    """Classes that the heads tell apart."""
    head_hidden: int = Field(default=2048, ge=1)
    """Hidden width of a head."""
    bottleneck: int = Field(default=256, ge=1)
    """Width before the prototypes."""
    separate_heads: bool = False
    """Give patches a head of their own, instead of one for CLS and patches."""
    patch_prototypes: int = Field(default=0, ge=0)
    """Classes that the patches' own head tells apart; 0 = as many as for CLS."""
    patch_bottleneck: int = Field(default=0, ge=0)
    """Width before the prototypes of the patches' own head; 0 = as for CLS."""
    targets: Literal["sinkhorn", "centre"] = "sinkhorn"
    """How teacher logits become targets: balanced by Sinkhorn-Knopp, or softmax after a running centre."""
    student_temperature: Temperature = 0.1
    """Temperature of the student's softmax."""
    teacher_temperature: tuple[Temperature, Temperature] = (0.04, 0.07)
    """Temperature of the targets at the first step and after its warm-up."""
    teacher_temperature_steps: LengthOrNone = 37_500
    """Length over which the teacher's temperature rises."""
    dino_weight: float = Field(default=1.0, ge=0)
    """Weight of the loss on CLS tokens."""
    ibot_weight: float = Field(default=1.0, ge=0)
    """Weight of the loss on masked patches."""
    koleo_weight: float = Field(default=0.1, ge=0)
    """Weight of the loss that spreads CLS tokens apart, summed over global crops as in DINOv2 and DINOv3."""
    koleo_group: int = Field(default=64, ge=2)
    """Neighbours are sought, and skipped images drawn, among so many images, whatever the number of processes."""
    mask_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the global crops that are masked for the student."""
    mask_ratio: Share = (0.1, 0.5)
    """Share of the patches that a mask covers, from and to; evenly spread over a batch."""
    distil: DistilParams | None = None
    """A frozen teacher in the place of the student's own average; none by default."""
    gram: GramParams | None = None
    """Gram anchoring of the patches to a frozen model; none by default."""

    @model_validator(mode="after")
    def _prototypes_of_a_teacher_are_of_two_kinds(self) -> Self:
        if self.distil and self.distil.targets == "prototypes" and not self.separate_heads:
            raise ValueError("distil.targets: prototypes needs separate_heads: true, got one head for CLS and patches")
        return self

    @model_validator(mode="after")
    def _patches_have_what_is_theirs(self) -> Self:
        if (self.patch_prototypes or self.patch_bottleneck) and not self.separate_heads:
            raise ValueError(
                f"patch_prototypes and patch_bottleneck need separate_heads: true, got {self.patch_prototypes} and "
                f"{self.patch_bottleneck} with one head for both"
            )
        return self

    @property
    def by_features(self) -> bool:
        """Whether the student meets a teacher's features, and there are no prototypes."""
        return self.distil is not None and self.distil.targets == "features"

    @property
    def reads_all_patches(self) -> bool:
        """Whether the losses read every patch of the global crops, none of them hidden."""
        return self.distil is not None and not self.distil.masked

    @property
    def head_shapes(self) -> list[tuple[int, int]]:
        """Bottleneck and prototypes of the one head, or of both."""
        shape = self.bottleneck, self.prototypes
        of_patches = self.patch_bottleneck or self.bottleneck, self.patch_prototypes or self.prototypes
        return [shape, of_patches] if self.separate_heads else [shape]
