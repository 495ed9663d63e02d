"""Phases of a run: from some step on, crops have another size, such as a short last part at high resolution."""

from pydantic import Field

from shared.params import Params
from training.params.duration import Length


class PhaseParams(Params):
    """What changes from a step on. The position embedding stays, and is resampled for other sizes."""

    begins: Length
    """When it begins: steps, or text such as "90 epochs"."""
    global_size: int = Field(ge=1)
    """Side of a global crop, in pixels."""
    local_size: int = Field(ge=1)
    """Side of a local crop, in pixels."""
