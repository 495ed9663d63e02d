"""The files of a run and of its scores, read without torch: what is there, what is done, what it was made with."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import RecipeError, WorkspaceError
from shared.params import fingerprint
from shared.published import Published
from shared.storage import Store
from training.evals.params import EvaluateParams
from training.params import PretrainParams

STEP_DIGITS = 8
MODELS = "evaluations/models"
"""Where in a workspace the scores of models lie that were named by a person."""
UNTRAINED, PIXELS = "random_init", "pixels"
"""What a run's scores stand beside, by the names in files."""
ABOUT = "checkpoint.json"
"""Inside a checkpoint's folder: checksum, step, and, for the last one, the summary of the run."""


def score_fingerprint(stage_version: int, params: EvaluateParams, dataset: Published) -> str:
    """Name what scores depend on, beside the checkpoint: also what other sets than the dataset hold now."""
    contents = [content for content in (one.content() for one in params.sets) if content]
    return fingerprint("evaluate", stage_version, params.identity(), dataset.name, dataset.version, *contents)


def title(score: dict[str, Any]) -> str:
    """Name a score by its evaluation and metric."""
    return f"{score['evaluation']} {score['metric']}"


def told(score: dict[str, Any]) -> str:
    """Name a score by its title, and by its set where that is not the published dataset."""
    return title(score) + (f" on {score['set']}" if "set" in score else "")


def measured(key: str, scores: Iterable[str]) -> str | None:
    """Return the name under which a score was measured: its own, or that on the first set that has it."""
    names = list(scores)
    return key if key in names else next((name for name in names if name.startswith(f"{key} on ")), None)


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
        found = (self.path / "checkpoints").glob(f"step-{'[0-9]' * STEP_DIGITS}")
        return sorted(int(folder.name.removeprefix("step-")) for folder in found)

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

    def check_same(self, params: PretrainParams, dataset: Published) -> None:
        """Raise RecipeError when the run was started with other params or another dataset."""
        config = self.config()
        if config is None:
            return
        facts = {"dataset": f"{dataset.name} {dataset.version}", "start": params.identity().get("start", "")}
        given = {**params.model_dump(mode="json"), **facts}
        old = PretrainParams.model_validate(config["params"])  # settings that are newer than the run have defaults
        there = {**old.model_dump(mode="json"), "dataset": config["dataset"], "start": config.get("start", "")}
        other = _differences(there, given)
        if other:
            raise RecipeError(
                f"Run {self.path.name} needs what it was started with, got other values: {'; '.join(other)}. "
                "Give the new run another name, or go back to the old values."
            )


def _differences(there: dict[str, Any], given: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted(there.keys() | given.keys()):
        old, new = there.get(key), given.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key} was {old}, now {new}")
    return found


@dataclass(frozen=True)
class ScoreFolder:
    """WORKSPACE/evaluations/RUN/STEP.json, with the fingerprint of how they were scored."""

    workspace: Path
    run: str
    fingerprint: str

    @property
    def store(self) -> Store:
        """The folder as a place to commit files to."""
        return Store(str(self.workspace / "evaluations" / self.run))

    def read(self, step: int) -> dict[str, Any] | None:
        """Return the scores of a step under this fingerprint, or None."""
        if not self.store.exists(f"{step}.json"):
            return None
        facts: dict[str, Any] = json.loads(self.store.read(f"{step}.json"))
        return facts if facts["fingerprint"] == self.fingerprint else None

    def has(self, step: int) -> bool:
        """Tell whether a step is scored under this fingerprint."""
        return self.read(step) is not None

    def brief(self, step: int) -> dict[str, float]:
        """Return {"knn top1": value, …} of a step under this fingerprint; nothing where it is not scored."""
        facts = self.read(step)
        return _brief(facts["scores"]) if facts else {}

    def baselines(self) -> dict[str, Any]:
        """Return the baselines' scores, which any scored step under this fingerprint has; nothing where none is."""
        names = (name.removesuffix(".json") for name in self.store.names("") if name.endswith(".json"))
        told = (facts for name in names if name.isdigit() and (facts := self.read(int(name))))
        return next((dict(facts["baselines"]) for facts in told if facts["baselines"]), {})

    def write(self, step: int, facts: dict[str, Any]) -> None:
        """Commit the scores of a step."""
        whole = {"run": self.run, "step": step, "fingerprint": self.fingerprint, **facts}
        self.store.write(f"{step}.json", json.dumps(whole, indent=1, sort_keys=True))

    def all(self) -> dict[str, dict[str, float]]:
        """Return {step: {"knn top1": value, …}} of everything scored, the baselines included."""
        names = [name.removesuffix(".json") for name in self.store.names("") if name.endswith(".json")]
        table: dict[str, dict[str, float]] = {}
        for step in sorted(int(name) for name in names if name.isdigit()):
            facts = self.read(step)
            if facts is not None:
                table |= {name: _brief(scores) for name, scores in facts["baselines"].items()}
                table[str(step)] = _brief(facts["scores"])
        return table


def _brief(scores: list[dict[str, Any]]) -> dict[str, float]:
    return {told(score): score["value"] for score in scores}
