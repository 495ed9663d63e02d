"""What is known of a checkpoint from the files of its workspace: recipe, dataset, scores. Absent files tell nothing."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.runs.run_folder import RunFolder


@dataclass(frozen=True)
class History:
    """How a checkpoint came to be, and what it is worth."""

    run: str
    step: int
    config: dict[str, Any]
    """config.json of the run: params, dataset, resolved."""
    dataset: dict[str, Any]
    """dataset.json of the version that it was trained on."""
    scores: list[dict[str, Any]]
    """Every score of this step, each with its protocol and the dataset that it was measured on."""


def history(folder: RunFolder, step: int) -> History:
    """Return what the workspace around a run tells of a step."""
    workspace = folder.path.parent.parent
    config = folder.config() or {}
    name, _, version = config.get("dataset", "").partition(" ")
    files = sorted((workspace / "evaluations" / folder.path.name).glob("*.json"))
    scores = [
        score | {"dataset": facts.get("dataset", "")}
        for facts in map(_facts, files)
        if facts.get("step") == step
        for score in facts.get("scores", [])
    ]
    dataset = _facts(workspace / "datasets" / name / version / "dataset.json")
    return History(folder.path.name, step, config, dataset, scores)


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return facts
