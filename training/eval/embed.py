"""A run's teacher for whoever embeds images with it; curation finds this module by its name.

Shapes: B images, C colours, H W pixels, D width.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import WorkspaceError
from shared.params import fingerprint
from shared.storage.checked_json import json_facts
from training.runs.checkpoint_files import ABOUT
from training.runs.run_folder import RunFolder

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Teacher(NamedTuple):
    """What there is to know of a checkpoint without torch."""

    path: str
    step: int
    size: int
    """Side of the global crops that it was trained on."""
    patch_size: int
    content: str
    """Changes when anything changes that its vectors depend on."""


def describe(path: str, step: int | None) -> Teacher:
    """Return what there is to know of a step's checkpoint, the newest by default. Raises WorkspaceError."""
    folder = RunFolder(Path(path))
    steps = folder.steps()
    if folder.config() is None or not steps:
        raise WorkspaceError(f"The embedder run needs a run with a checkpoint, got {path}. Give WORKSPACE/runs/RUN.")
    params = folder.params()
    step = steps[-1] if step is None else step
    if step not in steps:
        raise WorkspaceError(
            f"The embedder run needs a step with a checkpoint, got {step}. {path} has {', '.join(map(str, steps))}."
        )
    about = json_facts((folder.checkpoint(step) / ABOUT).read_bytes(), f"{folder.checkpoint(step)}/{ABOUT}")
    model, size = params.model, params.crops.global_size
    return Teacher(path, step, size, model.patch_size, fingerprint(about["sha256"], model.identity(), size))


def load(path: str, step: int, device: "torch.device") -> "Callable[[Tensor], Tensor]":
    """Return a function from pixels_BCHW, 0 to 255, to the teacher's cls_BD, in 32-bit floats."""
    from training.eval.backbone import open_model

    teacher = open_model(f"{path}@{step}", device)
    return lambda pixels_BCHW: teacher.tokens(pixels_BCHW).cls
