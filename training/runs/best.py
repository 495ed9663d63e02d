"""The best checkpoint of a run: marked when checkpoints are scored, and kept when newer ones take their turn."""

import json
from typing import Any

from training.runs.run_folder import RunFolder
from training.runs.scores import ScoreFolder, measured

MARK = "best.json"
KNN, RANK = "knn top1", "effective_rank rank"
BY = (KNN, RANK)
"""The first of these that was measured decides: k-NN where there are labels, else how many directions are used."""


def mark_best(folder: RunFolder, scores: ScoreFolder) -> None:
    """Write down which of the scored checkpoints that are still there is the best, the later of equals.

    Only scores of one fingerprint are compared.
    """
    scored = {step: values for step in folder.steps() if (values := scores.brief(step))}
    names = dict.fromkeys(name for values in scored.values() for name in values)
    by = next((name for key in BY if (name := measured(key, names))), None)
    if by is not None:
        value, step = max((values[by], step) for step, values in scored.items() if by in values)
        folder.store.write(MARK, json.dumps({"step": step, "by": by, "value": value}))


def best(folder: RunFolder) -> dict[str, Any] | None:
    """Return {"step", "by", "value"} of the best checkpoint; None where none is marked or the marked one is gone."""
    try:
        mark: dict[str, Any] = json.loads((folder.path / MARK).read_text())
    except FileNotFoundError:
        return None
    return mark if folder.checkpoint(mark["step"]).exists() else None


def best_step(folder: RunFolder) -> int | None:
    """Return the step of the best checkpoint, if it is known."""
    mark = best(folder)
    return mark["step"] if mark else None
