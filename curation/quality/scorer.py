"""What a rule that looks at pixels asks of measuring: a model's score of every image, and no threshold."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from curation.models.image_model import LookingModel
from shared.errors import RecipeError

if TYPE_CHECKING:
    from curation.arrays import Array, Floats


class Scorer(LookingModel):
    """A model that scores images while their pixels are at hand."""

    output: int = Field(default=-1)
    """Which of the model's numbers is the score, counted from 0; -1 = the last."""

    def scores(self, prepared: "Sequence[Array]") -> "Floats":
        """Return the scores [n] of prepared pictures."""
        return column(self.rows(prepared), self.output, self.path)


def column(rows: "Floats", output: int, who: str) -> "Floats":
    """Return one column [n] of what a model said. Raises RecipeError when it has no such column."""
    width = rows.shape[1]
    if not -width <= output < width:
        raise RecipeError(f"{who} returns {width} numbers for each image, got output {output}. Set 0 to {width - 1}.")
    return rows[:, output]
