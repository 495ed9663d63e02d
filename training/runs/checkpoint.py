"""Checkpoints: whole or absent, checked before use, the last good one counts."""

import errno
import hashlib
import os
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shared.errors import DamagedFileError, WorkFailedError
from shared.storage import sha256
from shared.storage.checked_json import json_facts, json_text
from shared.storage.refusals import roomy
from training.loss.losses import Objective
from training.model.frozen import FrozenModels
from training.model.student_teacher import Student
from training.runs.best import MARK, best_step
from training.runs.checkpoint_files import ABOUT, STATE
from training.runs.run_folder import RunFolder

LARGEST_WEIGHT = 65504.0
"""Beyond what fp16 can hold: a model with such a weight has diverged, however finite it is."""

SPARE = 1 << 20
"""Bytes: with so many left a disk is not full."""
MORE_THAN_TENSORS = "it holds more than tensors, which could run code, and is not read"


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
    order: int = 0
    """How often samples got another order, after steps that were not finite."""

    @property
    def divergence(self) -> str | None:
        """What shows that the student has diverged, None where nothing does."""
        largest = float(torch.stack([p.detach().abs().max() for p in self.student.parameters()]).max())
        return None if largest <= LARGEST_WEIGHT else f"a weight is as large as {largest:.3g}"  # NaN compares false

    def parts(self) -> dict[str, Any]:
        """Return the parts that know how to save themselves."""
        names = ("student", "teacher", "objective", "optimizer", "scaler")
        parts = {name: getattr(self, name) for name in names}
        drawn = self.frozen.teacher.drawn() if self.frozen.teacher else []
        return parts | ({"drawn": nn.ModuleList(drawn)} if drawn else {})


def save(
    folder: RunFolder,
    state: State,
    keep: int,
    summary: dict[str, Any] | None,
    *,
    every: int = 0,
    bad: str | None = None,
) -> Path:
    """Write a checkpoint beside its place, make it durable, move it there; then drop old ones.

    The newest `keep` good ones stay, those of every so many steps, and the best. `bad` says why this one is not good.
    """
    if folder.uploads:
        folder.uploads.settle()  # the one before: until it is home, nothing of it may go here
        with suppress(FileNotFoundError):
            folder.bring(MARK)  # whoever scores checkpoints marks the best one there
    target = folder.checkpoint(state.step)
    draft = _aside(target)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    whole = {name: part.state_dict() for name, part in state.parts().items()}
    whole |= {"step": state.step, "skipped": state.skipped, "seconds": state.seconds, "order": state.order}
    with roomy(draft / STATE, str(target), None):
        _write(whole, draft / STATE)
        about = {"step": state.step, "sha256": sha256(draft / STATE), "summary": summary, "bad": bad}
        (draft / ABOUT).write_text(json_text(about))
        for path in (draft / STATE, draft / ABOUT, draft):
            _flush(path)
    shutil.rmtree(target, ignore_errors=True)  # a damaged one, which a resume has passed over
    draft.rename(target)
    _flush(target.parent)
    good = [step for step in folder.steps() if not folder.about(step).get("bad")]
    kept = {state.step, best_step(folder), *good[-keep:], *(step for step in good if every and step % every == 0)}
    for step in folder.steps():
        if step not in kept:
            _drop(folder.checkpoint(step))
    if folder.uploads:
        folder.uploads.checkpoint(target.name, {folder.checkpoint(step).name for step in folder.steps()})
    return target


def _write(whole: dict[str, Any], path: Path) -> None:
    try:
        torch.save(whole, path)
    except RuntimeError as error:  # PyTorch's writer does not say why
        if shutil.disk_usage(path.parent).free > SPARE:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _drop(checkpoint: Path) -> None:
    """Delete a checkpoint so that a reader beside us finds it whole or not at all."""
    shutil.rmtree(_aside(checkpoint), ignore_errors=True)
    checkpoint.rename(_aside(checkpoint))
    shutil.rmtree(_aside(checkpoint), ignore_errors=True)


def _aside(checkpoint: Path) -> Path:
    """Return where a checkpoint lies while it is not whole."""
    return checkpoint.with_name(f".tmp-{checkpoint.name}")


def last_good(folder: RunFolder, say: Callable[[str], None] = lambda line: None) -> int | None:
    """Return the newest step whose checkpoint is good, or None; say which newer ones are passed over, and why."""
    for step in reversed(folder.steps()):
        fault = folder.fault(step) or _foreign(folder.state(step))
        if fault is None:
            return step
        say(f"the checkpoint of step {step} is passed over: {fault}")
    return None


def _foreign(path: Path) -> str | None:
    """Return what is wrong with a file that holds more than tensors; these are not read."""
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except pickle.UnpicklingError:
        return MORE_THAN_TENSORS
    return None


def read(folder: RunFolder, step: int) -> dict[str, Any]:
    """Return the contents of a checkpoint, on the CPU.

    One handle serves the check and the reading, so that nothing comes between. Raises WorkFailedError when it is
    damaged or bad, GoneError when it is not there.
    """
    path = folder.checkpoint(step)
    try:
        with folder.state(step).open("rb") as file:
            about = json_facts((path / ABOUT).read_bytes(), ABOUT)
            if hashlib.file_digest(file, "sha256").hexdigest() != about["sha256"]:
                raise WorkFailedError(_damaged(path, "its checksum differs"))
            if about.get("bad"):
                raise WorkFailedError(_damaged(path, about["bad"]))
            file.seek(0)
            whole: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
            return whole
    except FileNotFoundError as error:
        raise GoneError(f"{path} is gone: training keeps its newest checkpoints and the best one alone.") from error
    except pickle.UnpicklingError:
        raise WorkFailedError(_damaged(path, MORE_THAN_TENSORS)) from None
    except (DamagedFileError, ValueError, KeyError) as error:
        raise WorkFailedError(_damaged(path, f"{ABOUT} is damaged")) from error


def _damaged(checkpoint: Path, why: str) -> str:
    return (
        f"Reading a run needs an undamaged checkpoint, got {checkpoint}: {why}. "
        "Run `dinoflow pretrain` again: it goes on from the last good one, and makes this one again."
    )


def resume(folder: RunFolder, step: int, state: State) -> None:
    """Bring the state to where a good checkpoint left it."""
    whole = read(folder, step)
    for name, part in state.parts().items():
        part.load_state_dict(whole[name])
    state.step, state.skipped, state.seconds = whole["step"], whole["skipped"], whole["seconds"]
    state.order = whole.get("order", 0)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
