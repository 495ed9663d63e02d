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
    there = {step: told for step in folder.steps() if (told := scores.brief(step))}
    names = dict.fromkeys(name for told in there.values() for name in told)
    by = next((found for key in BY if (found := measured(key, names))), None)
    if by is not None:
        value, step = max((told[by], step) for step, told in there.items() if by in told)
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
