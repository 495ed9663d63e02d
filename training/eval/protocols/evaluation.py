"""What every evaluation says of itself, beside its parameters: what it needs, and how it turns that into scores."""

from typing import Any, ClassVar

from shared.params import Params
from training.eval.inputs import ScoreRow
from training.eval.sets.base import Needs


class EvaluationProtocol(Params):
    """One way to score features."""

    needs: ClassVar[Needs]
    """What a set must have for it, and which inputs `scores` is given."""
    second_view: ClassVar[bool] = False
    """Whether it compares images with other views of them."""

    def scores(self, inputs: Any) -> list[ScoreRow]:
        """Return the scores, each with its protocol. Raises OmittedError where these images cannot be scored so."""
        raise NotImplementedError
