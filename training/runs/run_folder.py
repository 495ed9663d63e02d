"""The files of a run and of its scores, read without torch: what is there, what is done, what it was made with."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.dataset_version import Published
from shared.errors import DamagedFileError, RecipeError, WorkspaceError
from shared.storage import Store, sha256
from shared.storage.checked_json import json_facts
from shared.storage.transfer import bring
from training.params import Positions, PretrainParams
from training.runs.checkpoint_files import ABOUT, STATE
from training.runs.uploads import Uploads

CONFIG = "config.json"
STEP_DIGITS = 8
TAKEN = ("start", "teacher", "gram")
"""What a run may take weights for from elsewhere; config.json has the content of each."""


@dataclass(frozen=True)
class RunFolder:
    """WORKSPACE/runs/RUN: config.json, metrics.jsonl, tensorboard/, views.png, pictures/, checkpoints/step-*/."""

    path: Path
    home: Store | None = None
    """The object store that the run belongs to, where `path` is a mirror of it."""

    @classmethod
    def of(cls, workspace: Path, run: str, stored: Store) -> "RunFolder":
        """Return a run's folder here; of one in an object store, learn which checkpoints are there."""
        folder = cls(workspace / "runs" / run, None if stored.local else stored.sub("runs", run))
        for name in folder.home.names("checkpoints") if folder.home else ():
            with suppress(FileNotFoundError):  # one that was not sent to its end
                folder.bring(f"checkpoints/{name}/{ABOUT}")
        return folder

    def bring(self, name: str) -> None:
        """Copy a file here from where the run belongs. Raises FileNotFoundError where it has none of this name."""
        if self.home:
            bring(self.home, name, self.path / name)

    @cached_property
    def uploads(self) -> Uploads | None:
        """What sends files to where the run belongs, if that is not here."""
        return Uploads(self.path, self.home) if self.home else None

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

    def state(self, step: int) -> Path:
        """Return the file of a checkpoint's tensors; from an object store it is brought when somebody asks for it."""
        path = self.checkpoint(step) / STATE
        if self.home and not path.exists():
            with suppress(FileNotFoundError):
                self.bring(f"checkpoints/{path.parent.name}/{STATE}")
        return path

    def about(self, step: int) -> dict[str, Any]:
        """Return what is written down of a step's checkpoint; nothing where that is absent or damaged."""
        try:
            return json_facts((self.checkpoint(step) / ABOUT).read_bytes(), ABOUT)
        except (OSError, DamagedFileError):
            return {}

    def fault(self, step: int) -> str | None:
        """Return why a step's checkpoint is not good, None where it is: whoever uses one asks. Reads all its bytes."""
        about = self.about(step)
        if "sha256" not in about:
            return f"{ABOUT} is missing or damaged"
        try:
            if sha256(self.state(step)) != about["sha256"]:
                return f"the checksum of {STATE} differs"
        except OSError as error:
            return f"{STATE} cannot be read: {error.strerror}"
        bad: str | None = about.get("bad")
        return bad

    def summary(self) -> dict[str, Any] | None:
        """Return what the run came to when its last step has been saved and is good, else None."""
        last = max(self.steps(), default=0)
        summary: dict[str, Any] | None = self.about(last).get("summary")
        return summary if summary is None or self.fault(last) is None else None

    def config(self) -> dict[str, Any] | None:
        """Return config.json, or None before the run's first start. Raises DamagedFileError."""
        try:
            return json_facts((self.path / CONFIG).read_bytes(), f"runs/{self.path.name}/{CONFIG}")
        except FileNotFoundError:
            return None

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
