"""Every flow that a deployment can import: the pipeline, its three acts, and one line for each curation stage."""

import os
from typing import Any

from prefect import Flow, flow
from prefect.events import emit_event
from prefect.states import Completed

from curation.stages import STAGES
from flows import pipeline
from flows.follow import follow as follow_run
from flows.orchestration import tasks
from flows.orchestration.credentials import fetch_secrets, guard_logs
from flows.orchestration.engine import PrefectExecutor, machines_of, subflows
from flows.orchestration.forms import Changes, Texts, form, requested, with_sources
from flows.orchestration.pages.artifacts import dataset_artifact
from flows.orchestration.pages.confirmed_events import confirm_events
from flows.orchestration.pages.run_log import RunLog
from flows.orchestration.pages.run_names import named
from flows.orchestration.taking_turns import SERVER_ENDS_WITH_US, one_at_a_time
from flows.plan.status import training_status
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.dataset_version import Published, open_version
from shared.launch.progress import Reporter
from shared.launch.stop_signals import die_with_parent
from shared.stage import Stage
from shared.storage import Store
from shared.storage.credentials import withheld

PUBLISHED = "dataset.version.published"
"""The event that a new version of a dataset emits."""
NOTHING_NEW = "Nothing new"
"""What the state of a run is called that found its work done."""
RUN_ID = "PREFECT__FLOW_RUN_ID"
"""In the environment of a process that a worker of Prefect started for a flow run."""
CONSOLE: list[Reporter] = []
"""The terminal of a person who started the flow from the command line, if any."""


def begin_run() -> None:
    """Do what comes first in every flow run: nothing is lost of it, told of its secrets, or left when it ends."""
    if RUN_ID in os.environ:  # a worker started it: nobody else would see to it that it ends
        die_with_parent()
    if not SERVER_ENDS_WITH_US.get():
        confirm_events()
    guard_logs()
    fetch_secrets()


def open_session(recipe: Recipe, workspace: str) -> Session:
    """Return a session whose stages are subflows and whose parts are task runs of the current flow."""
    begin_run()
    machines = machines_of(recipe.compute)
    executor = PrefectExecutor(machines, recipe.compute.parts_per_task)
    return Session(recipe, Store(withheld(workspace)), executor, RunLog(*CONSOLE), subflows(machines, recipe.name))


@flow(name="dinoflow", flow_run_name=named("whole pipeline:"))
@form
def run(
    recipe: str = "laptop",
    workspace: str = "workspace",
    sources: Texts = (),
    name: str = "",
    curation: Changes = None,
    training: Changes = None,
    evaluation: Changes = None,
    compute: Changes = None,
    settings: Texts = (),
) -> dict[str, Any]:
    """The whole pipeline: curate images into a dataset version, pre-train a ViT on it, score its checkpoints."""
    changes = {"curation": curation, "training": training, "evaluation": evaluation, "compute": compute}
    session = open_session(with_sources(requested(recipe, settings, sources, name, changes)), workspace)
    dataset, _ = _curate(session)
    with one_at_a_time("training", session):
        trained = tasks.train(session, dataset)
    return {"dataset": dataset.name, "version": dataset.version, "run": trained.run}


@flow(name="curate", flow_run_name=named("curate"))
@form
def curate(
    recipe: str = "laptop",
    workspace: str = "workspace",
    sources: Texts = (),
    name: str = "",
    curation: Changes = None,
    compute: Changes = None,
    settings: Texts = (),
) -> Any:
    """Curate: measure what is new, decide again, publish a dataset version if anything changed."""
    changes = {"curation": curation, "compute": compute}
    dataset, new = _curate(open_session(with_sources(requested(recipe, settings, sources, name, changes)), workspace))
    facts = {"dataset": dataset.name, "version": dataset.version, "counts": dataset.info["counts"]}
    return facts if new else nothing_new(f"{dataset.name} {dataset.version} is what its sources give still", facts)


@flow(name="pretrain", flow_run_name=named("pretrain"))
@form
def pretrain(
    recipe: str = "laptop",
    workspace: str = "workspace",
    name: str = "",
    version: str = "",
    training: Changes = None,
    evaluation: Changes = None,
    compute: Changes = None,
    settings: Texts = (),
) -> Any:
    """Pre-train a ViT on a published dataset version; then score its checkpoints."""
    changes = {"training": training, "evaluation": evaluation, "compute": compute}
    session, dataset = _on_version(requested(recipe, settings, (), name, changes), workspace, version)
    with one_at_a_time("training", session):
        status = training_status(session, dataset)
        facts = {"run": tasks.train(session, dataset).run}
    done = status.done and not status.unscored
    return nothing_new(f"{facts['run']} is trained and scored already", facts) if done else facts


@flow(name="evaluate", flow_run_name=named("evaluate"))
@form
def evaluate(
    recipe: str = "laptop",
    workspace: str = "workspace",
    name: str = "",
    version: str = "",
    evaluation: Changes = None,
    training: Changes = None,
    compute: Changes = None,
    settings: Texts = (),
    follow: bool = False,
    patience: float = 1800,
) -> dict[str, Any]:
    """Score the checkpoints of the recipe's run that have no score yet; or follow it and score each as it comes."""
    changes = {"training": training, "evaluation": evaluation, "compute": compute}
    session, dataset = _on_version(requested(recipe, settings, (), name, changes), workspace, version)
    run = pipeline.run_of(session, dataset)
    if follow:
        follow_run(session, dataset, run, patience=patience)
    return tasks.evaluate(session, dataset, run)


def nothing_new(why: str, facts: dict[str, Any]) -> Any:
    """Return a run's end that says, in the list of runs too, that there was nothing to do."""
    return Completed(name=NOTHING_NEW, message=f"{why}.", data=facts)


def _on_version(recipe: Recipe, workspace: str, version: str) -> tuple[Session, Published]:
    session = open_session(recipe, workspace)
    return session, open_version(session.store, recipe.name, version or None)


def _curate(session: Session) -> tuple[Published, bool]:
    with one_at_a_time("curation", session):
        dataset, new = pipeline.curate(session)
    dataset_artifact(session.store, dataset, new)
    if new:
        emit_event(
            PUBLISHED,
            resource={
                "prefect.resource.id": f"dataset.{dataset.name}.{dataset.version}",
                "dinoflow.workspace": session.store.url,
            },
            payload={"name": dataset.name, "version": dataset.version, "workspace": session.store.url},
        )
    return dataset, new


def flow_of(stage: Stage) -> Flow[..., Any]:
    """Return the flow that runs one curation stage, after what it reads and is not there yet."""

    def body(
        recipe: str = "laptop",
        workspace: str = "workspace",
        sources: Texts = (),
        name: str = "",
        params: Changes = None,
        compute: Changes = None,
        settings: Texts = (),
    ) -> dict[str, Any]:
        loaded = with_sources(requested(recipe, settings, sources, name, {stage.key: params, "compute": compute}))
        output = open_session(loaded, workspace).make(stage)
        return {"stage": stage.name, "rows": output.rows, "reasons": output.reasons}

    body.__doc__ = stage.help
    # A served flow is found again by module and name, so it must carry those of the line that makes it.
    body.__module__, body.__name__, body.__qualname__ = __name__, stage.name, stage.name
    title = named(stage.name.replace("_", " "))
    return Flow(fn=form(body, stage.params), name=stage.name, description=stage.help, flow_run_name=title)


SINGLE = tuple(flow_of(stage) for stage in STAGES)
"""A deployment finds its flow by module and name, so each has a name here."""
index, references, measure, measure_references, quality, candidates, verify, *_later = SINGLE
decontaminate, dedup, balance, select, pack = _later
