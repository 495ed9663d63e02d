"""The best checkpoint of a run: marked when checkpoints are scored, and kept when newer ones take their turn."""

from typing import Any

from shared.errors import DamagedFileError
from shared.storage.checked_json import json_facts, json_text
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
        folder.store.write(MARK, json_text({"step": step, "by": by, "value": value}))


def best(folder: RunFolder) -> dict[str, Any] | None:
    """Return {"step", "by", "value"} of the best checkpoint; None where none is marked or the marked one is gone.

    A damaged mark is passed over, and said: whoever evaluates writes it anew.
    """
    try:
        mark = json_facts((folder.path / MARK).read_bytes(), f"runs/{folder.path.name}/{MARK}")
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        print(f"{error.file} {error.why}: evaluation marks the best checkpoint anew", flush=True)
        return None
    return mark if folder.checkpoint(mark["step"]).exists() else None


def best_step(folder: RunFolder) -> int | None:
    """Return the step of the best checkpoint, if it is known."""
    mark = best(folder)
    return mark["step"] if mark else None
