"""What pre-training depends on, with DINOv2's short ViT-S recipe as defaults."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from shared.params import Params

Share = tuple[float, float]
Temperature = Annotated[float, Field(ge=0.02)]
"""exp(1 / 0.02), summed over all prototypes, still fits into fp32."""


class ModelParams(Params):
    """The vision transformer."""

    patch_size: int = Field(default=14, ge=1)
    """Side of a patch, in pixels."""
    width: int = Field(default=384, ge=1)
    """Length of a token."""
    depth: int = Field(default=12, ge=1)
    """Number of blocks."""
    heads: int = Field(default=6, ge=1)
    """Attention heads; they share the width evenly."""
    ffn: Literal["mlp", "swiglu"] = "mlp"
    """What follows attention: linear, GELU, linear; or with a gate (Shazeer 2020), at the same number of weights."""
    mlp_ratio: float = Field(default=4.0, gt=0)
    """Hidden width of a block's MLP, in widths; two thirds of it where there is a gate."""
    registers: int = Field(default=0, ge=0)
    """Extra tokens without a place in the image (Darcet et al. 2024)."""
    layer_scale: float = Field(default=1e-5, ge=0)
    """Initial LayerScale; 1e-5 for long runs, nearer 1 for short ones, 0 for none."""
    drop_path: float = Field(default=0.1, ge=0, lt=1)
    """Share of a group's images for which a branch of a block is skipped, and not computed."""
    drop_path_rule: Literal["uniform", "linear"] = "linear"
    """Whether all blocks are skipped alike, as in DINOv2, or from none for the first to `drop_path` for the last."""
    activation_checkpointing: bool = False
    """Recompute blocks in the backward pass: less memory, a quarter more work."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"model.width must be a multiple of model.heads, got {self.width} and {self.heads}")
        return self


class CropParams(Params):
    """How many views of an image there are, and of what size."""

    large_size: int = Field(default=224, ge=1)
    """Side of a large crop, in pixels."""
    large_count: int = Field(default=2, ge=2)
    """Large crops of an image: student and teacher see them."""
    large_scale: Share = (0.32, 1.0)
    """Share of the image's area that a large crop covers, from and to."""
    small_size: int = Field(default=98, ge=1)
    """Side of a small crop, in pixels."""
    small_count: int = Field(default=8, ge=0)
    """Small crops of an image: only the student sees them."""
    small_scale: Share = (0.05, 0.32)
    """Share of the image's area that a small crop covers, from and to."""
    shrink: int = Field(default=0, ge=0)
    """Shorter side to which images are shrunk before cropping, so that they can be kept in memory; 0 = as they are."""

    @model_validator(mode="after")
    def _scales_ascend(self) -> Self:
        for name, (low, high) in {"large": self.large_scale, "small": self.small_scale}.items():
            if not 0 < low <= high <= 1:
                raise ValueError(f"crops.{name}_scale must ascend within (0, 1], got {low} to {high}")
        return self


class AugmentParams(Params):
    """Chances and strengths of what is done to a crop. Each chance is the chance that it happens."""

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
    blur_first: float = Field(default=1.0, ge=0, le=1)
    """Chance of a blur on the first large crop. DINOv2 states 1 but its code inverts it to 0."""
    blur_other: float = Field(default=0.1, ge=0, le=1)
    """Chance of a blur on the other large crops."""
    blur_small: float = Field(default=0.5, ge=0, le=1)
    """Chance of a blur on a small crop."""
    blur_sigma: Share = (0.1, 2.0)
    """Standard deviation of the blur, in pixels of the crop, from and to."""
    solarise: float = Field(default=0.2, ge=0, le=1)
    """Chance of inverting bright pixels of the large crops after the first."""


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
    targets: Literal["sinkhorn", "centre"] = "sinkhorn"
    """How teacher logits become targets: balanced by Sinkhorn-Knopp, or softmax after a running centre."""
    student_temperature: Temperature = 0.1
    """Temperature of the student's softmax."""
    teacher_temperature: tuple[Temperature, Temperature] = (0.04, 0.07)
    """Temperature of the targets at the first step and after its warm-up."""
    teacher_temperature_steps: int = Field(default=37500, ge=0)
    """Steps over which the teacher's temperature rises."""
    dino_weight: float = Field(default=1.0, ge=0)
    """Weight of the loss on CLS tokens."""
    ibot_weight: float = Field(default=1.0, ge=0)
    """Weight of the loss on masked patches."""
    koleo_weight: float = Field(default=0.1, ge=0)
    """Weight of the loss that spreads CLS tokens apart."""
    koleo_group: int = Field(default=64, ge=2)
    """Neighbours are sought, and skipped images drawn, among so many images, whatever the number of processes."""
    mask_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the large crops that are masked for the student."""
    mask_ratio: Share = (0.1, 0.5)
    """Share of the patches that a mask covers, from and to; evenly spread over a batch."""


class OptimParams(Params):
    """AdamW, its schedules, and the teacher's momentum. All lengths are in steps."""

    steps: int = Field(default=125_000, ge=1)
    """Length of the run."""
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
    warmup_steps: int = Field(default=12_500, ge=0)
    """Steps over which the learning rate rises from 0."""
    weight_decay: tuple[float, float] = (0.04, 0.4)
    """Weight decay at the first and last step (cosine)."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's decay of its two moments."""
    clip: float = Field(default=3.0, gt=0)
    """Greatest norm of the whole gradient."""
    layer_decay: float = Field(default=0.9, gt=0, le=1)
    """Factor on the learning rate for each block below the last."""
    patch_lr: float = Field(default=0.2, gt=0)
    """Further factor on the learning rate of the patch embedding."""
    freeze_prototypes: int = Field(default=1250, ge=0)
    """Steps during which the prototypes stay as they are."""
    momentum: tuple[float, float] = (0.992, 1.0)
    """Share of itself that the teacher keeps in a step, at the first and last step."""
    momentum_rule: Literal["cosine", "linear"] = "cosine"
    """How the momentum goes from the one to the other."""
    precision: Literal["bf16", "fp16", "fp32"] = "bf16"
    """Number format of the matrix products; fp16 needs a GPU."""
    bad_steps: int = Field(default=10, ge=1)
    """Give up after so many non-finite steps in a row; each is skipped."""

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.warmup_steps >= self.steps:
            raise ValueError(f"optim.warmup_steps must be below optim.steps, got {self.warmup_steps} and {self.steps}")
        return self


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
    seed: int = Field(default=0, ge=0)
    """Decides initial weights, order, crops, masks and drop path."""
    checkpoint_every: int = Field(default=3750, ge=1)
    """Steps between checkpoints; the last step always has one."""
    keep_checkpoints: int = Field(default=3, ge=1)
    """Newest checkpoints to keep."""
    rank_every: int = Field(default=10, ge=1)
    """Steps between measurements of the teacher's effective rank."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        patch, objective = self.model.patch_size, self.objective
        sizes = {"large_size": self.crops.large_size}
        if self.crops.small_count:
            sizes["small_size"] = self.crops.small_size
        for name, size in sizes.items():
            if size % patch:
                raise ValueError(
                    f"crops.{name} must be a multiple of model.patch_size, got {size} and {patch}; "
                    f"the nearest are {size // patch * patch or patch} and {(size // patch + 1) * patch}"
                )
        grouped = objective.koleo_weight or self.model.drop_path
        if grouped and self.optim.batch_size % objective.koleo_group:
            raise ValueError(
                "optim.batch_size must be a multiple of objective.koleo_group, "
                f"got {self.optim.batch_size} and {objective.koleo_group}"
            )
        if not 0 <= objective.mask_ratio[0] <= objective.mask_ratio[1] < 1:
            raise ValueError(f"objective.mask_ratio must ascend within [0, 1), got {objective.mask_ratio}")
        return self
