"""Evaluations of a frozen model: a written union. Each is a file: what it depends on, its protocol, its scores."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from training.eval.protocols.alignment import Alignment
from training.eval.protocols.copy_detection import CopyDetection
from training.eval.protocols.effective_rank import EffectiveRank
from training.eval.protocols.few_shot import FewShot
from training.eval.protocols.knn import Knn
from training.eval.protocols.knn_segmentation import KnnSegmentation
from training.eval.protocols.linear import Linear
from training.eval.protocols.linear_segmentation import LinearSegmentation
from training.eval.protocols.retrieval import Retrieval
from training.eval.protocols.uniformity import Uniformity


def _spelled_out(value: Any) -> Any:
    """Read a bare kind, such as knn, as that kind with its defaults."""
    return {"kind": value} if isinstance(value, str) else value


Evaluation = Annotated[
    Knn
    | Linear
    | FewShot
    | Retrieval
    | CopyDetection
    | LinearSegmentation
    | KnnSegmentation
    | EffectiveRank
    | Uniformity
    | Alignment,
    Field(discriminator="kind"),
    BeforeValidator(_spelled_out),
]
"""One way to judge what a model sees."""

DEFAULT_EVALUATIONS: tuple[Evaluation, ...] = (Knn(), Linear(), EffectiveRank(), Uniformity())
"""What a run's checkpoints are scored by; without labels the last two remain."""
