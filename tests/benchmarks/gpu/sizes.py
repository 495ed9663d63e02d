"""What is measured on a GPU: models, crops and batches, and the ways in which a step is made."""

from typing import Any, NamedTuple

from training.params import PretrainParams

SHORT: dict[str, Any] = {"crops": {"local_count": 8}, "objective": {"prototypes": 65536}, "drop_path": 0.3}
GIANT: dict[str, Any] = {
    "crops": {"local_count": 10},
    "objective": {"prototypes": 131072, "bottleneck": 384, "patch_bottleneck": 256, "separate_heads": True},
    "drop_path": 0.4,
}
LITERAL: dict[str, Any] = GIANT | {"crops": {"global_count": 10, "local_count": 2}}
NARROW = {"width": 96, "depth": 3, "heads": 3}
SMALL_IMAGES = 4


class Row(NamedTuple):
    """One line of the table."""

    way: str
    images: int = 0
    """Images of a process; 0 = as many as fit, in steps of four."""
    compiles: bool = False
    recompute: bool = False
    precision: str = "bf16"
    dinov2: bool = False
    """Measure dinov2's step, not ours."""
    half_weights: bool = False


class Case(NamedTuple):
    """A model with its recipe, and the lines of its table."""

    size: str
    recipe: dict[str, Any]
    patch: int
    rows: list[Row]


def beside_dinov2(images: int) -> list[Row]:
    """Return our step plain and compiled, and dinov2's in its two ways, on equally many images."""
    return [
        Row("plain", images),
        Row("compiled", images, compiles=True),
        Row("dinov2, weights in bf16", images, dinov2=True, half_weights=True),
        Row("dinov2, autocast", images, dinov2=True),
    ]


CASES = {
    "vit-s16": Case("vit-s", SHORT | {"crops": {"local_count": 8, "local_size": 96}}, 16, beside_dinov2(256)),
    "vit-l14": Case(
        "vit-l",
        SHORT,
        14,
        [
            *beside_dinov2(64)[:2],
            Row("compiled, more images", 96, compiles=True),
            *beside_dinov2(64)[2:],
        ],
    ),
    "vit-450m": Case(
        "vit-450m",
        GIANT,
        14,
        [
            *beside_dinov2(32)[:2],
            Row("compiled, more images", 64, compiles=True),
            Row("compiled, checkpointing", 128, compiles=True, recompute=True),
            *beside_dinov2(32)[2:],
        ],
    ),
    "vit-450m-literal": Case(
        "vit-450m",
        LITERAL,
        14,
        [Row("plain", precision="fp16"), Row("checkpointing", recompute=True, precision="fp16")],
    ),
}
"""ViT-S and ViT-L have DINOv2's short recipe, the 450M that of `meta-dinov2-giant-fit`, and to the letter."""


def params_of(case: Case, row: Row, images: int, world: int, *, small: bool) -> PretrainParams:
    """Return the step of a line, for so many images of each process."""
    model = {"size": case.size, "patch_size": case.patch} | (NARROW if small else {})
    model |= {"activation_checkpointing": row.recompute, "drop_path": case.recipe["drop_path"]}
    optim = {"batch_size": images * world, "lr_rule": "none", "lr": 1e-4, "freeze_prototypes": 0}
    crops = case.recipe["crops"] | ({"global_size": 4 * case.patch, "local_size": 2 * case.patch} if small else {})
    objective = case.recipe["objective"] | {"koleo_group": images}
    objective |= {"prototypes": 256, "head_hidden": 64} if small else {}
    return PretrainParams.model_validate(
        {
            "model": model | {"drop_path_rule": "uniform"},
            "crops": crops,
            "objective": objective,
            "optim": optim | {"precision": "bf16" if small else row.precision},
        }
    )
