"""Checkpoints: whole or absent, checked before use, the last good one counts."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shared.errors import WorkFailedError
from shared.storage import sha256
from training.loss.losses import Objective
from training.model.frozen import FrozenModels
from training.model.student_teacher import Student
from training.runs.best import best_step
from training.runs.run_folder import ABOUT, RunFolder

STATE = "state.pt"


class GoneError(WorkFailedError):
    """A checkpoint was dropped before it could be read."""


@dataclass
class State:
    """Everything that changes during a run. Randomness is a function of (seed, step): none is stored."""

    student: Student
    teacher: Student
    objective: Objective
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    frozen: FrozenModels = field(default_factory=FrozenModels)
    """What guides the student and never changes: not saved, but for prototypes that were drawn."""
    step: int = 0
    """Steps taken, and the next step's number."""
    skipped: int = 0
    """Steps whose update was left out because something was not finite."""
    seconds: float = 0.0
    """Time spent training, over all starts."""

    def parts(self) -> dict[str, Any]:
        """Return the parts that know how to save themselves."""
        names = ("student", "teacher", "objective", "optimizer", "scaler")
        parts = {name: getattr(self, name) for name in names}
        drawn = self.frozen.teacher.drawn() if self.frozen.teacher else []
        return parts | ({"drawn": nn.ModuleList(drawn)} if drawn else {})


def save(folder: RunFolder, state: State, keep: int, summary: dict[str, Any] | None) -> Path:
    """Write a checkpoint beside its place, make it durable, move it there; then drop all but the newest `keep`.

    The best one stays, however old.
    """
    target = folder.checkpoint(state.step)
    draft = _aside(target)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    whole = {name: part.state_dict() for name, part in state.parts().items()}
    whole |= {"step": state.step, "skipped": state.skipped, "seconds": state.seconds}
    torch.save(whole, draft / STATE)
    about = {"step": state.step, "sha256": sha256(draft / STATE), "summary": summary}
    (draft / ABOUT).write_text(json.dumps(about, indent=1))
    for path in (draft / STATE, draft / ABOUT, draft):
        _flush(path)
    shutil.rmtree(target, ignore_errors=True)  # a damaged one, which a resume has passed over
    draft.rename(target)
    _flush(target.parent)
    best = best_step(folder)
    for old in folder.steps()[:-keep]:
        if old != best:
            _drop(folder.checkpoint(old))
    return target


def _drop(checkpoint: Path) -> None:
    """Delete a checkpoint so that a reader beside us finds it whole or not at all."""
    shutil.rmtree(_aside(checkpoint), ignore_errors=True)
    checkpoint.rename(_aside(checkpoint))
    shutil.rmtree(_aside(checkpoint), ignore_errors=True)


def _aside(checkpoint: Path) -> Path:
    """Return where a checkpoint lies while it is not whole."""
    return checkpoint.with_name(f".tmp-{checkpoint.name}")


def is_good(checkpoint: Path) -> bool:
    """Tell whether a checkpoint is there, whole and unchanged."""
    try:
        about = json.loads((checkpoint / ABOUT).read_text())
        return bool(sha256(checkpoint / STATE) == about["sha256"])
    except (OSError, ValueError, KeyError):
        return False


def last_good(folder: RunFolder) -> int | None:
    """Return the newest step whose checkpoint is good, or None."""
    return next((step for step in reversed(folder.steps()) if is_good(folder.checkpoint(step))), None)


def read(folder: RunFolder, step: int) -> dict[str, Any]:
    """Return the contents of a checkpoint, on the CPU.

    One handle serves the check and the reading, so that nothing comes between. Raises WorkFailedError when it is
    damaged, GoneError when it is not there.
    """
    path = folder.checkpoint(step)
    try:
        with (path / STATE).open("rb") as file:
            about = json.loads((path / ABOUT).read_text())
            if hashlib.file_digest(file, "sha256").hexdigest() != about["sha256"]:
                raise WorkFailedError(_damaged(path))
            file.seek(0)
            whole: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
            return whole
    except FileNotFoundError as error:
        raise GoneError(f"{path} is gone: training keeps its newest checkpoints and the best one alone.") from error
    except (ValueError, KeyError) as error:
        raise WorkFailedError(_damaged(path)) from error


def _damaged(checkpoint: Path) -> str:
    return (
        f"Evaluation needs an undamaged checkpoint, got {checkpoint} whose checksum differs. "
        "Delete that folder and run `dinoflow pretrain` again: it goes on from the last good one."
    )


def resume(folder: RunFolder, step: int, state: State) -> None:
    """Bring the state to where a good checkpoint left it."""
    whole = read(folder, step)
    for name, part in state.parts().items():
        part.load_state_dict(whole[name])
    state.step, state.skipped, state.seconds = whole["step"], whole["skipped"], whole["seconds"]


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
