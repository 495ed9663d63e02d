"""Every flow that a deployment can import: the pipeline, its three acts, and one line for each curation stage."""

from typing import Any

from prefect import Flow, flow
from prefect.events import emit_event

from curation.params import CurationParams
from curation.stages import STAGES
from flows import pipeline
from flows.follow import follow as follow_run
from flows.orchestration import tasks
from flows.orchestration.artifacts import dataset_artifact
from flows.orchestration.engine import PrefectExecutor, RunLog, machines_of, subflows
from flows.orchestration.forms import Texts, form
from flows.recipe.recipe import Recipe, load_recipe, with_params
from flows.session import Session
from shared.dataset_version import Published, open_version
from shared.launch.progress import Reporter
from shared.stage import Stage
from shared.storage import Store
from training.eval.params import EvaluateParams
from training.params import PretrainParams

CONSOLE: list[Reporter] = []
"""The terminal of a person who started the flow from the command line, if any."""


def open_session(recipe: Recipe, workspace: str) -> Session:
    """Return a session whose stages are subflows and whose parts are task runs of the current flow."""
    machines = machines_of(recipe.compute)
    executor = PrefectExecutor(machines, recipe.compute.parts_per_task)
    return Session(recipe, Store(workspace), executor, RunLog(*CONSOLE), subflows(machines, recipe.name))


@flow(name="dinoflow", flow_run_name="{recipe} → {workspace}")
@form
def run(
    recipe: str = "laptop",
    workspace: str = "workspace",
    sources: Texts = (),
    name: str = "",
    settings: Texts = (),
    curation: CurationParams | None = None,
    training: PretrainParams | None = None,
    evaluation: EvaluateParams | None = None,
) -> dict[str, Any]:
    """The whole pipeline: curate images into a dataset version, pre-train a ViT on it, score its checkpoints."""
    session = open_session(
        _changed(
            load_recipe(recipe, settings=settings, sources=sources, name=name),
            curation=curation,
            training=training,
            evaluation=evaluation,
        ),
        workspace,
    )
    dataset = _curate(session)
    trained = tasks.train(session, dataset)
    return {"dataset": dataset.name, "version": dataset.version, "run": trained.run}


@flow(name="curate", flow_run_name="curate {recipe} → {workspace}")
@form
def curate(
    recipe: str = "laptop",
    workspace: str = "workspace",
    sources: Texts = (),
    name: str = "",
    settings: Texts = (),
    curation: CurationParams | None = None,
) -> dict[str, Any]:
    """Curate: measure what is new, decide again, publish a dataset version if anything changed."""
    loaded = load_recipe(recipe, settings=settings, sources=sources, name=name)
    dataset = _curate(open_session(_changed(loaded, curation=curation), workspace))
    return {"dataset": dataset.name, "version": dataset.version, "counts": dataset.info["counts"]}


@flow(name="pretrain", flow_run_name="pretrain {recipe} → {workspace}")
@form
def pretrain(
    recipe: str = "laptop",
    workspace: str = "workspace",
    name: str = "",
    version: str = "",
    settings: Texts = (),
    training: PretrainParams | None = None,
) -> dict[str, Any]:
    """Pre-train a ViT on a published dataset version; then score its checkpoints."""
    loaded = _changed(load_recipe(recipe, settings=settings, name=name), training=training)
    session, dataset = _on_version(loaded, workspace, version)
    return {"run": tasks.train(session, dataset).run}


@flow(name="evaluate", flow_run_name="evaluate {recipe} → {workspace}")
@form
def evaluate(
    recipe: str = "laptop",
    workspace: str = "workspace",
    name: str = "",
    version: str = "",
    settings: Texts = (),
    evaluation: EvaluateParams | None = None,
    follow: bool = False,
    patience: float = 1800,
) -> dict[str, Any]:
    """Score the checkpoints of the recipe's run that have no score yet; or follow it and score each as it comes."""
    loaded = _changed(load_recipe(recipe, settings=settings, name=name), evaluation=evaluation)
    session, dataset = _on_version(loaded, workspace, version)
    run = pipeline.run_of(session, dataset)
    if follow:
        follow_run(session, dataset, run, patience=patience)
    return tasks.evaluate(session, dataset, run)


def _on_version(recipe: Recipe, workspace: str, version: str) -> tuple[Session, Published]:
    session = open_session(recipe, workspace)
    return session, open_version(session.store, recipe.name, version or None)


def _changed(recipe: Recipe, **parts: Any) -> Recipe:
    return recipe.model_copy(update={name: part for name, part in parts.items() if part is not None})


def _curate(session: Session) -> Published:
    dataset, new = pipeline.curate(session)
    dataset_artifact(dataset)
    if new:
        emit_event(
            "dataset.version.published",
            resource={"prefect.resource.id": f"dataset.{dataset.name}.{dataset.version}"},
            payload={"name": dataset.name, "version": dataset.version, "workspace": session.store.url},
        )
    return dataset


def flow_of(stage: Stage) -> Flow[..., Any]:
    """Return the flow that runs one curation stage, after what it reads and is not there yet."""

    def body(
        recipe: str = "laptop",
        workspace: str = "workspace",
        sources: Texts = (),
        name: str = "",
        settings: Texts = (),
        params: stage.params | None = None,  # type: ignore[name-defined]
    ) -> dict[str, Any]:
        loaded = load_recipe(recipe, settings=settings, sources=sources, name=name)
        if params is not None:
            loaded = with_params(loaded, stage.key, params)
        output = open_session(loaded, workspace).make(stage)
        return {"stage": stage.name, "rows": output.rows, "reasons": output.reasons}

    body.__doc__ = stage.help
    # A served flow is found again by module and name, so it must carry those of the line that makes it.
    body.__module__, body.__name__, body.__qualname__ = __name__, stage.name, stage.name
    return Flow(fn=form(body), name=stage.name, description=stage.help)


SINGLE = tuple(flow_of(stage) for stage in STAGES)
"""A deployment finds its flow by module and name, so each has a name here."""
index, references, measure, measure_references, quality, candidates, verify, *_later = SINGLE
decontaminate, dedup, balance, select, pack = _later
