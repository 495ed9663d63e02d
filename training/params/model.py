"""The vision transformer: its shape, by name or by numbers, and how it is trained."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from shared.params import Params

SIZES: dict[str, dict[str, Any]] = {
    "vit-s": {"width": 384, "depth": 12, "heads": 6},
    "vit-b": {"width": 768, "depth": 12, "heads": 12},
    "vit-l": {"width": 1024, "depth": 24, "heads": 16},
    "vit-450m": {"width": 968, "depth": 40, "heads": 11},
    "vit-g": {"width": 1536, "depth": 40, "heads": 24, "ffn": "swiglu"},
}
"""22, 87, 304, 451 and 1136 million parameters with patches of 14 pixels. ViT-g is DINOv2's; "450m" has its depth."""


Positions = Literal["antialiased", "offset"]
"""How positions are resampled for another size (training/model/vit.py)."""


class ModelParams(Params):
    """The vision transformer."""

    size: Literal["", "vit-s", "vit-b", "vit-l", "vit-450m", "vit-g"] = ""
    """One name for width, depth, heads and ffn; those that are given too override it."""
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
    positions: Literal["auto", "antialiased", "offset"] = "auto"
    """How positions are resampled for crops of another size; auto = as the weights were that a run starts from, else
    antialiased. DINOv2's models without registers: offset, their grid moved by .1 and without antialiasing."""
    layer_scale: float = Field(default=1e-5, ge=0)
    """Initial LayerScale; 1e-5 for long runs, nearer 1 for short ones, 0 for none."""
    drop_path: float = Field(default=0.1, ge=0, lt=1)
    """Share of a group's images for which a branch of a block is skipped, and not computed."""
    drop_path_rule: Literal["uniform", "linear"] = "linear"
    """Whether all blocks are skipped alike, as in DINOv2, or from none for the first to `drop_path` for the last."""
    activation_checkpointing: bool = False
    """Recompute blocks in the backward pass: less memory, a quarter more work."""

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, given: Any) -> Any:
        """Put numbers in the place of a name: what is trained has one identity, however it was asked for."""
        if not isinstance(given, dict) or given.get("size") not in SIZES:
            return given
        return SIZES[given["size"]] | {name: value for name, value in given.items() if name != "size"}

    @property
    def title(self) -> str:
        """Its name among the sizes; its width and depth where it has none."""
        shape = self.width, self.depth, self.heads
        for name, size in SIZES.items():
            if (size["width"], size["depth"], size["heads"]) == shape:
                return name if self.ffn == size.get("ffn", "mlp") else f"{name} with {self.ffn}"
        return f"vit of width {self.width}, depth {self.depth}"

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"model.width must be a multiple of model.heads, got {self.width} and {self.heads}")
        return self
