"""What of a recipe is done in a workspace, what a run would make, and why. Nothing runs but the listing of sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.publish.publish import published_as
from curation.stages import STAGES
from flows import pipeline
from flows.plan.causes import causes
from flows.session import Session
from shared.dataset_version import Published
from shared.launch.mirror import mirrored
from shared.stage_runner import Forecast
from shared.tables import newest_manifest
from training.eval.params import score_fingerprint
from training.runs.run_folder import RunFolder
from training.runs.scores import ScoreFolder
from training.stages import evaluate, pretrain


@dataclass(frozen=True)
class StageStatus:
    """One curation stage."""

    forecast: Forecast
    why: list[str]
    """What changed since its newest output; nothing where it is done."""


@dataclass(frozen=True)
class TrainingStatus:
    """The recipe's run on the published version."""

    run: str
    done: bool
    step: int
    """Of its newest checkpoint: where it would go on."""
    steps: int | str
    """In all; as the recipe says it, where the run has not begun."""
    unscored: list[int]
    """Steps of checkpoints that have no scores by the recipe's evaluation."""


@dataclass(frozen=True)
class Status:
    """A recipe in a workspace."""

    stages: list[StageStatus]
    dataset: Published | None
    """The version that holds just what the recipe gives, if it is published with its report."""
    training: TrainingStatus | None
    """None where no version is published."""

    @property
    def finished(self) -> tuple[Published, str] | None:
        """The dataset version and the run where nothing is left to do, else None."""
        if self.dataset and self.training and self.training.done and not self.training.unscored:
            return self.dataset, self.training.run
        return None


def status(session: Session) -> Status:
    """Return what is done of the session's recipe, what is not, and why."""
    newest = {stage.name: newest_manifest(session.store, stage.name) for stage in STAGES}  # before sources are listed
    forecasts = session.forecast()
    stages = [
        StageStatus(one, [] if one.done else causes(one, newest[name], forecasts, session.store))
        for name, one in forecasts.items()
    ]
    return Status(stages, *_published(session, forecasts))


def finished(session: Session) -> tuple[Published, str] | None:
    """Return the dataset version and the run where nothing is left to do, else None, without asking why."""
    return Status([], *_published(session, session.forecast())).finished


def published(session: Session) -> Published | None:
    """Return the version that holds just what the recipe gives, if it is there with its report, else None."""
    return _dataset(session, session.forecast())


def training_status(session: Session, dataset: Published) -> TrainingStatus:
    """Return how far the recipe's run on a version is."""
    run = pipeline.run_of(session, dataset)
    with mirrored(session.store, run) as (home, _):
        return training_in(home, session, dataset, run)


def _published(session: Session, forecasts: Mapping[str, Forecast]) -> tuple[Published | None, TrainingStatus | None]:
    dataset = _dataset(session, forecasts)
    return dataset, training_status(session, dataset) if dataset else None


def _dataset(session: Session, forecasts: Mapping[str, Forecast]) -> Published | None:
    packed = forecasts["pack"]
    dataset = published_as(session.store, session.recipe.name, packed.output) if packed.done and packed.output else None
    return dataset if dataset is not None and dataset.store.exists("report.html") else None


def training_in(home: Path, session: Session, dataset: Published, run: str) -> TrainingStatus:
    """Return how far a run is, by its files in the workspace or in a mirror. A finished one's last weights are read."""
    folder = RunFolder.of(home, run, session.store)
    fingerprint = score_fingerprint(evaluate.version, session.recipe.evaluation, dataset)
    scores = ScoreFolder(home, run, fingerprint)
    config: dict[str, Any] = folder.config() or {}
    return TrainingStatus(
        run=run,
        done=folder.summary() is not None,
        step=max(folder.steps(), default=0),
        steps=config.get("resolved", {}).get("steps", session.recipe.training.optim.steps),
        unscored=[step for step in folder.steps() if not scores.has(step)],
    )


def facts(current: Status) -> dict[str, Any]:
    """Return a status as plain facts, for --json."""
    stages = [
        {
            "stage": one.forecast.stage.name,
            "done": one.forecast.done,
            "parts": one.forecast.parts,
            "parts_to_make": one.forecast.missing,
            "sure": one.forecast.sure,
            "why": one.why,
        }
        for one in current.stages
    ]
    dataset, training = current.dataset, current.training
    version = {"dataset": dataset.name, "version": dataset.version} if dataset else None
    after = (pretrain.name, evaluate.name)
    gangs = dict(zip(after, (None, None) if training is None else _gangs(training), strict=True))
    return {"stages": stages, "published": version, **gangs, "finished": current.finished is not None}


def _gangs(training: TrainingStatus) -> tuple[dict[str, Any], dict[str, Any]]:
    pretrained = {"run": training.run, "done": training.done, "step": training.step, "steps": training.steps}
    return pretrained, {"done": training.done and not training.unscored, "unscored": training.unscored}
