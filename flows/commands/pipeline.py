"""What the commands do, and the last lines they print: where things are, and what to do next."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows.commands.console import Console
from flows.commands.in_prefect import flow_arguments, prefect
from flows.commands.results import dataset_facts, print_dataset, print_scores, print_table, print_training
from flows.orchestration.clusters.machines import machines_for
from flows.recipe.recipe import Recipe, load_recipe
from flows.session import Session
from shared.dataset_version import Published, open_version
from shared.errors import SourceError, WorkspaceError
from shared.images.file_names import absolute
from shared.launch.cluster.find_place import check_one_machine
from shared.launch.executors import Inline
from shared.launch.mirror import mirrored
from shared.stage import Stage
from shared.storage import Store
from shared.storage.credentials import withheld
from shared.tables import Output

if TYPE_CHECKING:
    from flows.recipe.options import Options


NOTHING_LEFT = "Nothing is left to do: images, recipe and results are those of an earlier run."


def run(recipe: str | None, options: "Options") -> dict[str, Any]:
    """Run the whole pipeline as a Prefect flow."""
    from flows.plan.status import finished

    loaded, store, console = begin(recipe, options)
    check_one_machine(loaded.compute, "run")
    earlier = finished(Session(loaded, store, Inline(), console))
    if earlier:
        console.say(NOTHING_LEFT)
        dataset, run_name = earlier
    else:
        with prefect(loaded.compute, console):
            from flows.orchestration import flows

            facts = flows.run(**flow_arguments(recipe, options))
        dataset, run_name = open_version(store, facts["dataset"], facts["version"]), facts["run"]
    print_dataset(console, dataset)
    scores = print_scores(console, store, run_name)
    console.say()
    console.say(f"report       {store.place('report.html')}")
    console.say(f"checkpoints  {store.place('runs', run_name, 'checkpoints')}")
    return dataset_facts(dataset) | {"run": run_name, "scores": scores, "workspace": store.place()}


def curate(recipe: str | None, options: "Options") -> dict[str, Any]:
    """Run the curation as a Prefect flow."""
    from flows.plan.status import published

    loaded, store, console = begin(recipe, options)
    dataset = published(Session(loaded, store, Inline(), console))
    if dataset:
        console.say(NOTHING_LEFT)
    else:
        with prefect(loaded.compute, console):
            from flows.orchestration import flows

            facts = flows.curate(**flow_arguments(recipe, options))
        dataset = open_version(store, facts["dataset"], facts["version"])
    print_dataset(console, dataset)
    console.say(f"\nNext: dinoflow pretrain {recipe or ''} --workspace {options.workspace} --name {dataset.name}")
    return dataset_facts(dataset)


def one_stage(stage: Stage, recipe: str | None, options: "Options") -> dict[str, Any]:
    """Run one stage here, without Prefect, after those it reads that were not made yet."""
    loaded, store, console = begin(recipe, options, reads_sources=stage.shape != "gang")
    if stage.shape == "gang":
        with local_session(loaded, store, console) as session:
            return _gang_stage(session, stage, console)
    if stage.name == "pack":
        return _packed(loaded, store, console)
    output = _stage_output(stage, loaded, store, console)
    where = print_table(console, store, output)
    return {"stage": stage.name, "rows": output.rows, "reasons": output.reasons, "table": where}


def _stage_output(stage: Stage, recipe: Recipe, store: Store, console: Console) -> Output:
    """Return the output of a stage; processes are started only where a part is to be made."""
    here = Session(recipe, store, Inline(), console)
    if stage.looks_outside:
        return here.make(stage)
    earlier = here.made_before(stage)
    if earlier:
        console.say(NOTHING_LEFT)
        return earlier
    with local_session(recipe, store, console) as session:
        return session.make(stage)


def _packed(recipe: Recipe, store: Store, console: Console) -> dict[str, Any]:
    """Curate without Prefect, where that is not done."""
    from flows import pipeline
    from flows.plan.status import published

    dataset, new = published(Session(recipe, store, Inline(), console)), False
    if dataset:
        console.say(NOTHING_LEFT)
    else:
        with local_session(recipe, store, console) as session:
            dataset, new = pipeline.curate(session)
    print_dataset(console, dataset)
    return dataset_facts(dataset) | {"new": new}


def _gang_stage(session: Session, stage: Stage, console: Console) -> dict[str, Any]:
    from flows import pipeline

    dataset = open_version(session.store, session.recipe.name)
    run = pipeline.run_of(session, dataset)
    earlier = _nothing_left(session, stage, dataset, run)
    if earlier is not None:
        console.say(NOTHING_LEFT)
    if stage.name == "pretrain":
        facts = earlier or pipeline.pretrain(session, dataset).facts
        print_training(console, session.store, run, facts)
        console.say(f"\ncheckpoints  {session.store.place('runs', run, 'checkpoints')}")
        console.say("Next: dinoflow evaluate, with the same recipe and workspace")
        return {"run": run, **facts}
    if not session.store.exists(f"runs/{run}"):
        raise WorkspaceError(f"There is no run {run} in {session.store.url} yet. Run `dinoflow pretrain` first.")
    return _evaluated(session, console, run, earlier or pipeline.evaluate(session, dataset, run))


def _nothing_left(session: Session, stage: Stage, dataset: Published, run: str) -> dict[str, Any] | None:
    """Return what a finished training or evaluation gives, without a process of its own; None for an unfinished one."""
    from flows.plan.status import training_in

    with mirrored(session.store, run) as (home, _):
        status = training_in(home, session, dataset, run)
        if not status.done or (stage.name == "evaluate" and status.unscored):
            return None
        params, compute = session.params(stage), session.recipe.compute
        facts: dict[str, Any] = stage(dataset, params=params, compute=compute, workspace=home, run=run)
        return facts


def follow(recipe: str | None, options: "Options", patience: float) -> dict[str, Any]:
    """Score a run's checkpoints while its training goes on, until it is done."""
    from flows import pipeline
    from flows.follow import follow as follow_run

    loaded, store, console = begin(recipe, options, reads_sources=False)
    with local_session(loaded, store, console) as session:
        dataset = open_version(store, loaded.name)
        run = pipeline.run_of(session, dataset)
        console.say(f"Following {run} at low priority, until its training is done …")
        return _evaluated(session, console, run, follow_run(session, dataset, run, patience=patience))


def _evaluated(session: Session, console: Console, run: str, facts: dict[str, Any]) -> dict[str, Any]:
    scores, best = print_scores(console, session.store, run), facts["best"]
    report = session.store.place("runs", run, "report.html")
    if best:
        console.say(f"{'best checkpoint':<20} step {best['step']:,} · {best['by']} {best['value']:.3f}")
    console.say(f"\nreport       {report}")
    return {"run": run, "scores": scores, "best": best, "report": report}


@contextmanager
def local_session(recipe: Recipe, store: Store, console: Console) -> Iterator[Session]:
    """Give a session without Prefect, whose parts are made where the recipe says."""
    machines = machines_for(recipe.compute)
    try:
        yield Session(recipe, store, machines, console)
    finally:
        machines.close()


def begin(recipe: str | None, options: "Options", reads_sources: bool = True) -> tuple[Recipe, Store, Console]:
    """Check the request before any work: the recipe, the sources, a workspace that can be written."""
    loaded = load_recipe(recipe, settings=options.settings, sources=options.source, name=options.name)
    if reads_sources and not loaded.sources:
        raise SourceError(
            "Curation needs images to start from. Name a folder or URL with --source, as often as needed."
        )
    store, console = open_workspace(options.workspace), console_for(options)
    for line in loaded.curation.warnings() if reads_sources else ():
        console.say(line)
    return loaded, store, console


def console_for(options: "Options") -> Console:
    """Return the console; with --json, standard output belongs to the one object, and progress is not shown."""
    return Console(sys.stderr if options.json else None, quiet=options.json)


def open_workspace(url: str) -> Store:
    """Open a workspace for writing. Raises WorkspaceError when it cannot be written."""
    store = Store(absolute(withheld(url)))
    store.write("dinoflow.json", '{"format": 1}\n')
    return store
