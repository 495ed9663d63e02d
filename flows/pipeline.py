"""The pipeline, read from top to bottom: curate, pretrain, evaluate. It knows no Prefect; `engine` adds that."""

from contextlib import nullcontext
from dataclasses import dataclass
from threading import Event
from typing import Any

from curation.publish.lineage import Lineage
from curation.publish.publish import PublishRequest, publish
from curation.publish.read_back import originals_or_thumbnails
from curation.stages import STAGES
from flows.report import render_run, render_workspace
from flows.report.dataset import read_evidence, remembered_thumbnails, render
from flows.session import Session
from shared.dataset_version import Published, open_version
from shared.errors import RecipeError, WorkspaceError
from shared.launch.cluster.find_place import check_alone, find_place
from shared.launch.launch import gang, run_name
from shared.stage import Stage
from shared.storage import Store, locked
from training.runs.earlier import nearest, run_of_same_request
from training.stages import evaluate as evaluate_stage
from training.stages import pretrain as pretrain_stage


@dataclass(frozen=True)
class Trained:
    """A finished run, or one in the making."""

    run: str
    facts: dict[str, Any]


def curate(session: Session) -> tuple[Published, bool]:
    """Make every table, publish the dataset version, draw its report. Return it, and whether it is new."""
    dataset, new = session.made_again(lambda: made_version(session))
    session.made_again(lambda: _reported(session, dataset))
    return dataset, new


def _reported(session: Session, dataset: Published) -> None:
    """Draw a version's report where it has none. Outputs that were forgotten for damage in one are made first."""
    if dataset.store.exists("report.html"):
        return
    for stage in () if session.outputs else STAGES:
        session.make(stage)
    work = ReportRequest(session.store.url, dataset.name, dataset.version)
    list(session.executor.map(draw_report, [work], "report"))


def made_version(session: Session) -> tuple[Published, bool]:
    """Make every table and publish the dataset version; return it, and whether it is new."""
    for stage in STAGES:
        session.make(stage)
    recipe = session.recipe.model_dump(mode="json", include={"sources", "curation"})
    params = session.recipe.curation.pack
    request = PublishRequest(session.recipe.name, session.outputs, recipe, params, session.seconds)
    return publish(session.store, request, session.executor, session.reporter)


@dataclass(frozen=True)
class ReportRequest:
    """A dataset version whose report is to be drawn."""

    workspace: str
    name: str
    version: str


def draw_report(work: ReportRequest) -> None:
    """Draw a version's report, in a worker: it decodes pictures, and broken ones too."""
    store = Store(work.workspace)
    dataset = open_version(store, work.name, work.version)
    lineage = Lineage.of(store, dataset)
    evidence, memo = read_evidence(lineage), remembered_thumbnails(store)
    html = render(dataset, lambda uris: originals_or_thumbnails(dataset, lineage, uris), evidence, memo)
    dataset.store.write("report.html", html)


def run_of(session: Session, dataset: Published) -> str:
    """Return the name of the recipe's run on a dataset version, begun or not.

    Raises WorkspaceError where weights that it names are gone, RecipeError where they cannot be read, unless a run
    has taken them already.
    """
    params = session.recipe.training
    try:
        return run_name(pretrain_stage, params, dataset)
    except (WorkspaceError, RecipeError):
        name = run_of_same_request(session.store, dataset, params)
        if name is None:
            raise
        return name


def pretrain(session: Session, dataset: Published) -> Trained:
    """Train on a dataset version, or go on where a killed run stopped."""
    name = run_of(session, dataset)
    if not session.store.exists(f"runs/{name}/config.json"):
        _tell_what_lies_near(session, dataset)
    return Trained(name, _gang(session, pretrain_stage, dataset, name))


def _tell_what_lies_near(session: Session, dataset: Published) -> None:
    """Say which run a new one may be mistaken for, and how to go on from that one instead."""
    run = nearest(session.store, dataset, session.recipe.training)
    if run is None:
        return
    changed = "; ".join(run.changed(session.recipe.training))
    where = session.store.place("runs", run.name) if session.store.local else f"A COPY OF {run.name} ON A DISK"
    session.reporter.line(
        f"This is a new run, from step 0. Beside it lies {run.name}, at step {run.step:,} of {run.steps:,}, which "
        f"differs in {changed}. To go on from what that one learned: --set "
        f"training.start={where}"
    )


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
    return store.place("runs", run, "report.html")


def _gang(
    session: Session, stage: Stage, dataset: Published, run: str, niceness: int = 0, stop: Event | None = None
) -> dict[str, Any]:
    compute = session.recipe.compute
    if stage is evaluate_stage:
        compute = compute.model_copy(update={"processes": 1, "launcher": "local", "nodes": 0})
    else:
        check_alone(compute)
    lock = locked(session.store, f"run-{run}-{stage.name}", f"{stage.name} of {run}", session.reporter.line)
    with lock if find_place(compute).leads else nullcontext():  # machines of one gang must not wait for each other
        return gang(
            stage,
            session.params(stage),
            dataset,
            run=run,
            workspace=session.store,
            compute=compute,
            reporter=session.reporter,
            niceness=niceness,
            stop=stop,
        )
