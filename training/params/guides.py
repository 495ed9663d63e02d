"""Frozen models that guide a student: a teacher to distil from, and an anchor for the patches (Gram)."""

from typing import Any, Literal

from pydantic import Field

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
    masked: bool = False
    """Hide patches from the student as iBOT does; else it sees all of them, and all are compared."""


class GramParams(Placeless):
    """Gram anchoring (Siméoni et al. 2025): which patches resemble each other stays as a frozen model has it."""

    weight: float = Field(default=1.0, gt=0)
    """Weight of the mean squared difference of the two Gram matrices."""
    teacher: str = ""
    """Weights of the frozen model; empty = those that the run starts from."""
