"""The files of a run and of its scores, read without torch: what is there, what is done, what it was made with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.dataset_version import Published
from shared.errors import RecipeError, WorkspaceError
from shared.storage import Store
from training.params import Positions, PretrainParams

STEP_DIGITS = 8
TAKEN = ("start", "teacher", "gram")
"""What a run may take weights for from elsewhere; config.json has the content of each."""
ABOUT = "checkpoint.json"
"""Inside a checkpoint's folder: checksum, step, and, for the last one, the summary of the run."""


@dataclass(frozen=True)
class RunFolder:
    """WORKSPACE/runs/RUN: config.json, metrics.jsonl, tensorboard/, views.png, pictures/, checkpoints/step-*/."""

    path: Path

    @property
    def store(self) -> Store:
        """The folder as a place to commit files to."""
        return Store(str(self.path))

    def checkpoint(self, step: int) -> Path:
        """Return the folder of a step's checkpoint."""
        return self.path / "checkpoints" / f"step-{step:0{STEP_DIGITS}d}"

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint, ascending."""
        folders = (self.path / "checkpoints").glob(f"step-{'[0-9]' * STEP_DIGITS}")
        return sorted(int(folder.name.removeprefix("step-")) for folder in folders)

    def summary(self) -> dict[str, Any] | None:
        """Return what the run came to when its last step has been saved, else None: only that one tells it."""
        try:
            about = json.loads((self.checkpoint(max(self.steps(), default=0)) / ABOUT).read_text())
        except (FileNotFoundError, ValueError):  # absent or damaged: the run goes on from the last good one
            return None
        summary: dict[str, Any] | None = about["summary"]
        return summary

    def config(self) -> dict[str, Any] | None:
        """Return config.json, or None before the run's first start."""
        try:
            config: dict[str, Any] = json.loads((self.path / "config.json").read_text())
        except FileNotFoundError:
            return None
        return config

    def params(self) -> PretrainParams:
        """Return what the run was trained with. Raises WorkspaceError when there is no such run."""
        config = self.config()
        if config is None or not self.steps():
            raise WorkspaceError(
                f"Evaluation needs a run with a checkpoint, got {self.path}. Run `dinoflow pretrain` first."
            )
        return PretrainParams.model_validate(config["params"])

    def contents(self, params: PretrainParams) -> dict[str, str] | None:
        """Return the content of the weights that the run took from elsewhere; None before its first checkpoint."""
        config = self.config()
        if config is None or not self.steps():
            return None
        return {name: config.get(name, "") for name in params.weights_named}

    def positions(self) -> Positions:
        """Return how the run resamples positions: what it was told, or what its first weights brought along."""
        config = self.config() or {}
        rule: Positions = config.get("resolved", {}).get("positions", "antialiased")
        return rule

    def check_same(self, params: PretrainParams, dataset: Published, contents: Mapping[str, str]) -> None:
        """Raise RecipeError when the run was started with other params, another dataset or other weights.

        `contents` are those of the weights that the run takes from elsewhere.
        """
        config = self.config()
        if config is None:
            return
        beside = {"dataset": f"{dataset.name} {dataset.version}", **dict.fromkeys(TAKEN, ""), **contents}
        given = {**_placeless(params), **beside}
        old = PretrainParams.model_validate(config["params"])  # settings that are newer than the run have defaults
        was = {name: config.get(name, "") for name in beside}
        recorded = {**_placeless(old), **was}
        changed = differences(recorded, given)
        if changed:
            raise RecipeError(
                f"Run {self.path.name} needs what it was started with, got other values: {'; '.join(changed)}. "
                "Give the new run another name, or go back to the old values."
            )


def _placeless(params: PretrainParams) -> dict[str, Any]:
    """Return the params without the places of weights: their content is compared."""
    dump = params.model_dump(mode="json")
    for guide in ("distil", "gram"):
        if dump["objective"][guide]:
            del dump["objective"][guide]["teacher"]
    return dump | {"start": ""}


def differences(recorded: dict[str, Any], given: dict[str, Any], prefix: str = "") -> list[str]:
    """Return "key was …, now …" for every setting that is not the same in two dumps of params."""
    changed = []
    for key in sorted(recorded.keys() | given.keys()):
        old, new = recorded.get(key), given.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            changed += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            changed.append(f"{prefix}{key} was {old}, now {new}")
    return changed
