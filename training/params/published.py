"""What facebookresearch/dinov2 trained its models with: its code's defaults and the configurations beside it (b8931f7).

A recipe says in what it differs from one of these, and why; `dinoflow plan` prints that, and what the code itself does
in another way than DINOv2's.
"""

from typing import Literal, NamedTuple

from training.params import AugmentParams, CropParams, ModelParams, ObjectiveParams, OptimParams, PretrainParams

PublishedName = Literal["ViT-L/14", "ViT-g/14"]

VIT_L = PretrainParams(
    model=ModelParams(size="vit-l", ffn="swiglu", drop_path=0.4, drop_path_rule="uniform", positions="offset"),
    crops=CropParams(),
    augment=AugmentParams(blur_global_first=0.0, blur_global_other=0.9, blur_local=0.5),
    objective=ObjectiveParams(
        separate_heads=True,
        prototypes=131072,
        bottleneck=384,
        patch_prototypes=131072,
        patch_bottleneck=256,
        koleo_group=32,
    ),
    optim=OptimParams(
        steps=625000,
        batch_size=3072,
        lr=2e-4,
        warmup_steps=100000,
        weight_decay=(0.04, 0.2),
        momentum=(0.994, 1.0),
        layer_decay=1.0,
        precision="fp16",
    ),
)
"""dinov2/configs/train/vitl14.yaml over ssl_default_config.yaml; 96 GPUs of 32 images (its README)."""
VIT_G = VIT_L.model_copy(
    update={
        "model": ModelParams(size="vit-g", drop_path=0.4, drop_path_rule="uniform", positions="offset"),
        "objective": VIT_L.objective.model_copy(update={"koleo_group": 12}),
    }
)
"""dinov2/configs/train/vitg14.yaml: 12 images a GPU."""
PUBLISHED: dict[PublishedName, PretrainParams] = {"ViT-L/14": VIT_L, "ViT-g/14": VIT_G}


class Deviation(NamedTuple):
    """Something that is not as in DINOv2."""

    what: str
    dinov2: str
    here: str
    why: str


IN_THE_CODE = (
    Deviation("gain of the prototypes", "trains", "stays 1", "scores stay cosines, and exponentials cannot overflow"),
    Deviation(
        "clipping", "backbone and heads, each alone", "the whole gradient", "its direction stays what the losses ask"
    ),
    Deviation(
        "frozen prototypes", "a rate of 0, moments gather", "no gradient, no moments", "the first free step is no jump"
    ),
    Deviation(
        "KoLeo, drop path",
        "among a process's images",
        "among objective.koleo_group",
        "the same for any number of processes",
    ),
    Deviation("KoLeo of copies", "-log 1e-8", "left out", "finite in every precision; nothing parts copies"),
    Deviation(
        "masked patches",
        "random in number, often short, dealt in a process",
        "exact, dealt over the batch",
        "the same for any number of processes; islands and single patches as frequent",
    ),
    Deviation(
        "running centre of patches",
        "weighs processes alike",
        "weighs patches alike",
        "the same for any number of processes",
    ),
    Deviation("no local crops", "global loss over 3", "a mean over all pairs", "one rule for any number of crops"),
)
"""For every recipe; test files measure that all else agrees."""
