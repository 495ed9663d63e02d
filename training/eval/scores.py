"""What a model sees to its scores: each evaluation whose needs are met, and a note for each that is not."""

from collections.abc import Iterable, Mapping
from typing import Any

from training.eval.inputs import OmittedError, Score
from training.eval.protocols import Evaluation
from training.eval.sets.labelled import Needs


def all_scores(evaluations: Iterable[Evaluation], seen: Mapping[Needs, Any]) -> tuple[list[Score], list[str]]:
    """Return the scores, and for each evaluation that was left out a sentence that says why."""
    scores: list[Score] = []
    notes: list[str] = []
    for evaluation in evaluations:
        try:
            if evaluation.needs not in seen:
                raise OmittedError(f"needs {evaluation.needs}")
            scores += evaluation.scores(seen[evaluation.needs])
        except OmittedError as lack:
            notes.append(f"{evaluation.kind} was left out: it {lack}")
    return scores, notes
