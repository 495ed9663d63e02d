"""The scores of a run's checkpoints, on disk."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import DamagedFileError
from shared.storage import Store
from shared.storage.checked_json import json_facts, json_text

MODELS = "evaluations/models"
"""Where in a workspace the scores of models lie that were named by a person."""


UNTRAINED, PIXELS = "random_init", "pixels"
"""What a run's scores stand beside, by the names in files."""


def title(score: dict[str, Any]) -> str:
    """Name a score by its evaluation and metric."""
    return f"{score['evaluation']} {score['metric']}"


def score_label(score: dict[str, Any]) -> str:
    """Name a score by its title, and by its set where that is not the published dataset."""
    return title(score) + (f" on {score['set']}" if "set" in score else "")


def measured(key: str, scores: Iterable[str]) -> str | None:
    """Return the name under which a score was measured: its own, or that on the first set that has it."""
    names = list(scores)
    return key if key in names else next((name for name in names if name.startswith(f"{key} on ")), None)


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
        """Return the scores of a step under this fingerprint, or None; damaged ones are passed over, and said."""
        if not self.store.exists(f"{step}.json"):
            return None
        try:
            scored = json_facts(self.store.read(f"{step}.json"), f"evaluations/{self.run}/{step}.json")
        except DamagedFileError as error:
            print(f"{error.file} {error.why}: step {step} is scored again", flush=True)
            return None
        return scored if scored["fingerprint"] == self.fingerprint else None

    def has(self, step: int) -> bool:
        """Tell whether a step is scored under this fingerprint."""
        return self.read(step) is not None

    def brief(self, step: int) -> dict[str, float]:
        """Return {"knn top1": value, …} of a step under this fingerprint; nothing where it is not scored."""
        scored = self.read(step)
        return _brief(scored["scores"]) if scored else {}

    def baselines(self) -> dict[str, Any]:
        """Return the baselines' scores, which any scored step under this fingerprint has; nothing where none is."""
        names = (name.removesuffix(".json") for name in self.store.names("") if name.endswith(".json"))
        files = (scored for name in names if name.isdigit() and (scored := self.read(int(name))))
        return next((dict(scored["baselines"]) for scored in files if scored["baselines"]), {})

    def write(self, step: int, facts: dict[str, Any]) -> None:
        """Commit the scores of a step."""
        whole = {"run": self.run, "step": step, "fingerprint": self.fingerprint, **facts}
        self.store.write(f"{step}.json", json_text(whole))

    def all(self) -> dict[str, dict[str, float]]:
        """Return {step: {"knn top1": value, …}} of everything scored, the baselines included."""
        names = [name.removesuffix(".json") for name in self.store.names("") if name.endswith(".json")]
        table: dict[str, dict[str, float]] = {}
        for step in sorted(int(name) for name in names if name.isdigit()):
            scored = self.read(step)
            if scored is not None:
                table |= {name: _brief(scores) for name, scores in scored["baselines"].items()}
                table[str(step)] = _brief(scored["scores"])
        return table


def _brief(scores: list[dict[str, Any]]) -> dict[str, float]:
    return {score_label(score): score["value"] for score in scores}
