"""Frozen models that guide a student: a teacher to distil from, and an anchor for the patches (Gram)."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from shared.params import Params


class Placeless(Params):
    """Params that name weights: their content is part of a run's name, where they lie is not."""

    def identity(self) -> dict[str, Any]:
        """Return the identity without the place of the weights."""
        return {name: value for name, value in super().identity().items() if name != "teacher"}


class DistilParams(Placeless):
    """A frozen teacher sets the targets; the EMA of the student is still what is kept and evaluated."""

    teacher: str = Field(min_length=1)
    """Weights of the teacher, of any size: a run, an exported folder, a file or a name of timm's."""
    targets: Literal["features", "prototypes"] = "features"
    """What the student meets: the teacher's tokens by cosine, or DINO's and iBOT's targets. Where the teacher comes
    without heads, its prototypes are features of training images."""
    centred: bool = False
    """With targets: features, compare by what a token differs in from the mean of training images, not by what all
    have in common. Where CLS tokens of all images are alike, a student else learns little but their mean."""
    masked: bool = False
    """Hide patches from the student as iBOT does; else it sees all of them, and all are compared."""

    @model_validator(mode="after")
    def _features_are_centred(self) -> Self:
        if self.centred and self.targets != "features":
            raise ValueError(f"distil.centred is for targets: features, got {self.targets}, which always are centred")
        return self


class GramParams(Placeless):
    """Gram anchoring (Siméoni et al. 2025): which patches resemble each other stays as a frozen model has it."""

    weight: float = Field(default=1.0, gt=0)
    """Weight of the mean squared difference of the two Gram matrices."""
    teacher: str = ""
    """Weights of the frozen model; empty = those that the run starts from."""
