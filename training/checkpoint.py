"""Checkpoints: whole or absent, checked before use, the last good one counts."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shared.errors import WorkFailedError
from training.objective import Objective
from training.runs import ABOUT, RunFolder
from training.student import Student

STATE = "state.pt"


@dataclass
class State:
    """Everything that changes during a run. Randomness is a function of (seed, step): none is stored."""

    student: Student
    teacher: Student
    objective: Objective
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    """Steps taken, and the next step's number."""
    skipped: int = 0
    """Steps whose update was left out because something was not finite."""
    seconds: float = 0.0
    """Time spent training, over all starts."""

    def parts(self) -> dict[str, Any]:
        """Return the parts that know how to save themselves."""
        names = ("student", "teacher", "objective", "optimizer", "scaler")
        return {name: getattr(self, name) for name in names}


def save(folder: RunFolder, state: State, keep: int, summary: dict[str, Any] | None) -> Path:
    """Write a checkpoint beside its place, make it durable, move it there, then drop those beyond `keep`."""
    target = folder.checkpoint(state.step)
    draft = target.with_name(f".tmp-{target.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    whole = {name: part.state_dict() for name, part in state.parts().items()}
    whole |= {"step": state.step, "skipped": state.skipped, "seconds": state.seconds}
    torch.save(whole, draft / STATE)
    about = {"step": state.step, "sha256": _digest(draft / STATE), "summary": summary}
    (draft / ABOUT).write_text(json.dumps(about, indent=1))
    for path in (draft / STATE, draft / ABOUT, draft):
        _flush(path)
    shutil.rmtree(target, ignore_errors=True)  # a damaged one, which a resume has passed over
    draft.rename(target)
    _flush(target.parent)
    for old in folder.steps()[:-keep]:
        shutil.rmtree(folder.checkpoint(old), ignore_errors=True)
    return target


def is_good(checkpoint: Path) -> bool:
    """Tell whether a checkpoint is there, whole and unchanged."""
    try:
        about = json.loads((checkpoint / ABOUT).read_text())
        return bool(_digest(checkpoint / STATE) == about["sha256"])
    except (OSError, ValueError, KeyError):
        return False


def last_good(folder: RunFolder) -> int | None:
    """Return the newest step whose checkpoint is good, or None."""
    return next((step for step in reversed(folder.steps()) if is_good(folder.checkpoint(step))), None)


def read(folder: RunFolder, step: int) -> dict[str, Any]:
    """Return the contents of a checkpoint, on the CPU. Raises WorkFailedError when it is damaged."""
    path = folder.checkpoint(step)
    if not is_good(path):
        raise WorkFailedError(
            f"Evaluation needs an undamaged checkpoint, got {path} whose checksum differs. "
            "Delete that folder and run `dinoflow pretrain` again: it goes on from the last good one."
        )
    whole: dict[str, Any] = torch.load(path / STATE, map_location="cpu", weights_only=True)
    return whole


def resume(folder: RunFolder, step: int, state: State) -> None:
    """Bring the state to where a good checkpoint left it."""
    whole = read(folder, step)
    for name, part in state.parts().items():
        part.load_state_dict(whole[name])
    state.step, state.skipped, state.seconds = whole["step"], whole["skipped"], whole["seconds"]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
