"""Weights: a vision transformer's parameters, and what is needed to build the model that takes them."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from torch import Tensor, tensor

from shared.errors import RecipeError
from shared.params import fingerprint
from training.model.vit import COLOUR_MEAN, COLOUR_STD, Backbone, resampled
from training.params import ModelParams, Positions
from training.weights.files import content_of

POSITIONS = "dinoflow_positions"
"""Key in the config.json of an export: the rule for positions of other sizes, which other libraries do not ask for."""


@dataclass(frozen=True)
class Weights:
    """A backbone's parameters, and what is needed to build the model that takes them."""

    title: str
    """What tables call it."""
    model: ModelParams
    """The architecture; training-only fields are at their defaults."""
    image_size: int
    """Side of the images that the position embedding is made for."""
    vit: dict[str, Tensor]
    """timm's VisionTransformer, in fp32: loads with strict=True into `Backbone(model, image_size).vit`."""
    mask_token: Tensor | None = None
    """mask_D, where the origin has one."""
    heads: dict[str, Tensor] = field(default_factory=dict)
    """`head.…` and `patch_head.…` of a Student, where the origin has them."""
    peak_lr: float | None = None
    """The peak learning rate of the run that made them, where it is known."""
    mean: tuple[float, ...] = COLOUR_MEAN
    std: tuple[float, ...] = COLOUR_STD

    @cached_property
    def content(self) -> str:
        """Changes when anything changes that its features depend on; the same wherever the same weights come from."""
        resampled = () if self.positions == "antialiased" else (self.positions,)
        return fingerprint(content_of(self.vit), self.model.heads, self.mean, self.std, *resampled)

    @property
    def positions(self) -> Positions:
        """How positions are resampled for other sizes: as in the training of these weights, as far as that is known."""
        return "offset" if self.model.positions == "offset" else "antialiased"

    def resampled_by(self, rule: Literal["auto", "antialiased", "offset"]) -> "Weights":
        """Return the weights with another rule for positions of other sizes; auto leaves them as they are."""
        rule = self.positions if rule == "auto" else rule
        return self if rule == self.positions else replace(self, model=with_positions(self.model, rule))

    def in_our_colours(self) -> "Weights":
        """Return the weights for pixels normalised as ours: the difference goes into the patch embedding, exactly."""
        mean_C, std_C, their_mean_C, their_std_C = map(tensor, (COLOUR_MEAN, COLOUR_STD, self.mean, self.std))
        scale_C, shift_C = std_C / their_std_C, (mean_C - their_mean_C) / their_std_C
        kernel_DCPP = self.vit["patch_embed.proj.weight"]
        changed = {
            "patch_embed.proj.weight": kernel_DCPP * scale_C.view(1, -1, 1, 1),
            "patch_embed.proj.bias": self.vit["patch_embed.proj.bias"] + kernel_DCPP.sum(dim=(2, 3)) @ shift_C,
        }
        return replace(self, vit=self.vit | changed, mean=COLOUR_MEAN, std=COLOUR_STD)

    def backbone(self) -> Backbone:
        """Return the model with these weights, in eval mode."""
        backbone = Backbone(self.model, self.image_size)
        backbone.vit.load_state_dict(self.vit)
        if self.mask_token is not None:
            backbone.mask_token.data.copy_(self.mask_token)
        return backbone.eval()

    def at(self, image_size: int) -> "Weights":
        """Return the weights with the position embedding that the model uses for images of this size.

        Raises RecipeError where the patches do not fill them.
        """
        patch = self.model.patch_size
        if image_size % patch:
            raise RecipeError(
                f"{self.title} needs images whose side is a multiple of its patch size {patch}, got {image_size}. "
                f"The nearest is {max(1, round(image_size / patch)) * patch}."
            )
        if image_size == self.image_size:
            return self
        prefix = 0 if self.model.registers else 1
        side = image_size // patch
        pos_embed = resampled(self.vit["pos_embed"], (side, side), prefix, self.positions)
        return replace(self, vit=self.vit | {"pos_embed": pos_embed}, image_size=image_size)


def with_positions(model: ModelParams, rule: Positions) -> ModelParams:
    """Return the model with this rule for positions; the default is left unsaid, so that equal models are equal."""
    return model.model_copy(update={"positions": rule if rule == "offset" else "auto"})
