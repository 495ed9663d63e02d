"""The pipeline, read from top to bottom: curate, pretrain, evaluate. It knows no Prefect; `engine` adds that."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from curation.publish.lineage import Lineage
from curation.publish.publish import publish, published_as
from curation.publish.read_back import originals
from curation.stages import STAGES
from flows.report import render_run, render_workspace
from flows.report.dataset import read_evidence, render
from flows.session import WRITERS, Session
from shared.dataset_version import FOLDER, Published, open_version
from shared.launch.executors import Inline
from shared.launch.launch import gang, run_name
from shared.stage import Stage
from shared.stage_runner import find, run
from shared.storage import Store
from shared.tables import Output
from training.eval.params import score_fingerprint
from training.runs.run_folder import RunFolder
from training.runs.scores import ScoreFolder
from training.stages import evaluate as evaluate_stage
from training.stages import pretrain as pretrain_stage


@dataclass(frozen=True)
class Trained:
    """A finished run, or one in the making."""

    run: str
    facts: dict[str, Any]


def curate(session: Session) -> tuple[Published, bool]:
    """Make every table, publish the dataset version, draw its report. Return it, and whether it is new."""
    for stage in STAGES:
        session.make(stage)
    recipe = session.recipe.model_dump(mode="json", include={"sources", "curation"})
    dataset, new = publish(session.store, session.recipe.name, session.outputs, recipe, session.seconds)
    if not dataset.store.exists("report.html"):
        work = Report(session.store.url, dataset.name, dataset.version)
        list(session.executor.map(draw_report, [work], "report"))
    return dataset, new


@dataclass(frozen=True)
class Report:
    """A dataset version whose report is to be drawn."""

    workspace: str
    name: str
    version: str


def draw_report(work: Report) -> None:
    """Draw a version's report, in a worker: it decodes pictures, and broken ones too."""
    store = Store(work.workspace)
    dataset = open_version(store, work.name, work.version)
    lineage = Lineage.of(store, dataset)
    html = render(dataset, lambda uris: originals(dataset, lineage, uris), read_evidence(lineage))
    dataset.store.write("report.html", html)


def finished(session: Session) -> tuple[Published, str] | None:
    """Return the dataset version and the run when nothing is left to do for this request, else None.

    Only the sources are listed again; a workspace in an object store is not looked through.
    """
    if not session.store.local or not session.store.exists(FOLDER):
        return None
    outputs: dict[str, Output] = {}
    for stage in STAGES:
        inputs = [outputs[WRITERS[contract.name].name] for contract in stage.reads]
        params = session.params(stage)
        found = (
            run(stage, params, inputs, store=session.store, executor=Inline())
            if stage.looks_outside
            else find(stage, params, inputs, session.store)
        )
        if found is None:
            return None
        outputs[stage.name] = found
    dataset = published_as(session.store, session.recipe.name, outputs["pack"])
    if dataset is None or not dataset.store.exists("report.html"):
        return None
    name = run_of(session, dataset)
    folder = RunFolder(Path(session.store.path("runs", name)))
    told = score_fingerprint(evaluate_stage.version, session.recipe.evaluation, dataset)
    scores = ScoreFolder(Path(session.store.path()), name, told)
    done = folder.summary() is not None
    return (dataset, name) if done and all(scores.has(step) for step in folder.steps()) else None


def run_of(session: Session, dataset: Published) -> str:
    """Return the name of the recipe's run on a dataset version, begun or not."""
    return run_name(pretrain_stage, session.recipe.training, dataset)


def pretrain(session: Session, dataset: Published) -> Trained:
    """Train on a dataset version, or go on where a killed run stopped."""
    name = run_of(session, dataset)
    return Trained(name, _gang(session, pretrain_stage, dataset, name))


def evaluate(
    session: Session, dataset: Published, run: str, niceness: int = 0, stop: Event | None = None
) -> dict[str, Any]:
    """Score every checkpoint of a run that has no score yet, and draw the pages of the run and the workspace."""
    scores = _gang(session, evaluate_stage, dataset, run, niceness, stop)
    draw_run(session.store, run)
    session.store.write("report.html", render_workspace(session.store))
    return scores


def draw_run(store: Store, run: str) -> str:
    """Draw a run's page and return where it is."""
    store.write(f"runs/{run}/report.html", render_run(store, run))
    return store.path("runs", run, "report.html")


def _gang(
    session: Session, stage: Stage, dataset: Published, run: str, niceness: int = 0, stop: Event | None = None
) -> dict[str, Any]:
    compute = session.recipe.compute
    if stage is evaluate_stage:
        compute = compute.model_copy(update={"processes": 1})
    return gang(
        stage,
        session.params(stage),
        dataset,
        run=run,
        workspace=session.store,
        compute=compute,
        tell=session.reporter.line,
        niceness=niceness,
        stop=stop,
    )
