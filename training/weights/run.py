"""Weights of a run of this pipeline: its teacher by default, or its student, with their heads."""

from pathlib import Path
from typing import Literal

from torch import Tensor

from shared.errors import WorkspaceError
from training.params import ModelParams
from training.runs import checkpoint
from training.runs.checkpoint_files import STATE
from training.runs.run_folder import RunFolder
from training.weights.weights import Weights, with_positions

WhichNetwork = Literal["teacher", "student"]
TRAINING_ONLY = ("drop_path", "drop_path_rule", "activation_checkpointing")


def is_run(path: Path) -> bool:
    """Tell the folder of a run, or of one of its checkpoints."""
    return (path / "checkpoints").is_dir() or is_checkpoint(path)


def is_checkpoint(path: Path) -> bool:
    """Tell the folder of a checkpoint within a run."""
    return (path / STATE).is_file() and path.parent.name == "checkpoints"


def from_run(path: Path, step: int | None = None, network: WhichNetwork = "teacher") -> Weights:
    """Return the weights of a step's checkpoint, the newest by default. Raises WorkspaceError where it is not there."""
    if is_checkpoint(path):
        step, path = int(path.name.removeprefix("step-")), path.parent.parent
    folder = RunFolder(path)
    params, steps = folder.params(), folder.steps()
    step = steps[-1] if step is None else step
    if step not in steps:
        listed = ", ".join(map(str, steps))
        raise WorkspaceError(f"{path} has no checkpoint of step {step}. Choose one of: {listed}.")
    state: dict[str, Tensor] = checkpoint.read(folder, step)[network]
    vit = _under(state, "backbone.vit.")
    size = params.crops.global_size
    return Weights(
        title=f"{path.name} step {step}" + (" student" if network == "student" else ""),
        model=with_positions(_bare(params.model), folder.positions()),
        image_size=size,
        vit=vit,
        mask_token=state["backbone.mask_token"],
        peak_lr=(folder.config() or {}).get("resolved", {}).get("peak_lr"),
        heads={name: tensor for name, tensor in state.items() if not name.startswith("backbone.")},
    )


def _bare(model: ModelParams) -> ModelParams:
    """Return the architecture: what only training looks at, as it is by default."""
    fresh = ModelParams()
    unset = {name: getattr(fresh, name) for name in TRAINING_ONLY}
    return model.model_copy(update=unset | {"layer_scale": fresh.layer_scale if model.layer_scale else 0.0})


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor.contiguous() for name, tensor in state.items() if name.startswith(prefix)}
