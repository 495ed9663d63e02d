"""AdamW, how long a run is, and what changes over its length."""

from typing import Literal, Self

from pydantic import Field, model_validator

from shared.params import Params
from training.params.duration import Length, LengthOrNone


class OptimParams(Params):
    """AdamW, its schedules, and the teacher's momentum. A length is in steps, or text such as "100 epochs"."""

    steps: Length = 125_000
    """Length of the run: steps, or text such as "100 epochs" or "4.9e10 samples"."""
    batch_size: int = Field(default=1024, ge=2)
    """Images in a step, over all processes."""
    lr: float = Field(default=4e-3, gt=0)
    """Base learning rate, at the reference batch."""
    lr_rule: Literal["none", "sqrt", "linear"] = "sqrt"
    """How the peak learning rate follows from batch_size / lr_reference_batch."""
    lr_reference_batch: int = Field(default=1024, ge=1)
    """Batch size at which the base learning rate holds."""
    lr_final: float = Field(default=1e-6, ge=0)
    """Learning rate at the end of the cosine."""
    warmup_steps: LengthOrNone = 12_500
    """Length over which the learning rate rises from 0."""
    weight_decay: tuple[float, float] = (0.04, 0.4)
    """Weight decay at the first step, and where a cosine leads from there."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's decay of its two moments."""
    clip: float = Field(default=3.0, gt=0)
    """Greatest norm of the whole gradient."""
    layer_decay: float = Field(default=0.9, gt=0, le=1)
    """Factor on the learning rate for each block below the last."""
    patch_lr: float = Field(default=0.2, gt=0)
    """Further factor on the learning rate of the patch embedding."""
    freeze_prototypes: LengthOrNone = 1250
    """Length during which the prototypes stay as they are."""
    freeze_backbone: LengthOrNone = 0
    """Length during which only heads learn; then the backbone's learning rate rises as in a warm-up of its own."""
    start_lr_limit: float = Field(default=2e-4, ge=0)
    """Greatest peak learning rate for weights that a run starts from, unless they were trained with a higher one; a
    higher one undoes what they know. 0 = none."""
    momentum: tuple[float, float] = (0.992, 1.0)
    """Share of itself that the teacher keeps in a step, at the first, and where it goes from there."""
    momentum_rule: Literal["cosine", "linear"] = "cosine"
    """How the momentum goes from the one to the other."""
    precision: Literal["bf16", "fp16", "fp32"] = "bf16"
    """Number format of the matrix products; fp16 needs a GPU."""
    bad_steps: int = Field(default=10, ge=1)
    """Give up after so many non-finite steps in a row; each is skipped."""

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        warmup, steps = self.warmup_steps, self.steps
        if isinstance(warmup, int) and isinstance(steps, int) and warmup >= steps:
            raise ValueError(f"optim.warmup_steps must be below optim.steps, got {warmup} and {steps}")
        return self
