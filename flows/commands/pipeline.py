"""What the commands do, and the last lines they print: where things are, and what to do next."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows.commands.console import Console
from flows.commands.results import dataset_facts, print_dataset, print_scores, print_table, print_training
from flows.recipe.recipe import Recipe, load_recipe
from flows.session import Session
from shared.dataset_version import open_version
from shared.errors import SourceError, WorkspaceError
from shared.errors.secrets import redacted_tree
from shared.launch.executors import Inline, Processes, Workers
from shared.stage import Stage
from shared.storage import Store
from shared.storage.credentials import withheld

if TYPE_CHECKING:
    from flows.recipe.options import Options


def run(recipe: str | None, options: "Options") -> dict[str, Any]:
    """Run the whole pipeline as a Prefect flow."""
    from flows.plan.status import finished

    loaded, store, console = begin(recipe, options)
    # A workspace in an object store is not looked through: that may take longer than the answer is worth.
    earlier = finished(Session(loaded, store, Inline(), console)) if store.local else None
    if earlier:
        console.say("Nothing is left to do: images, recipe and results are those of an earlier run.")
        dataset, run_name = earlier
    else:
        with _prefect(console):
            from flows.orchestration import flows

            facts = flows.run(**_arguments(recipe, options))
        dataset, run_name = open_version(store, facts["dataset"], facts["version"]), facts["run"]
    print_dataset(console, dataset)
    scores = print_scores(console, store, run_name)
    console.say()
    console.say(f"report       {store.path('report.html')}")
    console.say(f"checkpoints  {store.path('runs', run_name, 'checkpoints')}")
    return dataset_facts(dataset) | {"run": run_name, "scores": scores, "workspace": store.path()}


def curate(recipe: str | None, options: "Options") -> dict[str, Any]:
    """Run the curation as a Prefect flow."""
    _, store, console = begin(recipe, options)
    with _prefect(console):
        from flows.orchestration import flows

        facts = flows.curate(**_arguments(recipe, options))
    dataset = open_version(store, facts["dataset"], facts["version"])
    print_dataset(console, dataset)
    console.say(f"\nNext: dinoflow pretrain {recipe or ''} --workspace {options.workspace} --name {dataset.name}")
    return dataset_facts(dataset)


def one_stage(stage: Stage, recipe: str | None, options: "Options") -> dict[str, Any]:
    """Run one stage here, without Prefect, after those it reads that were not made yet."""
    from flows import pipeline

    loaded, store, console = begin(recipe, options, reads_sources=stage.shape != "gang")
    with local_session(loaded, store, console) as session:
        if stage.shape == "gang":
            return _gang_stage(session, stage, console)
        if stage.name == "pack":
            dataset, new = pipeline.curate(session)
            print_dataset(console, dataset)
            return dataset_facts(dataset) | {"new": new}
        output = session.make(stage)
    where = print_table(console, store, output)
    return {"stage": stage.name, "rows": output.rows, "reasons": output.reasons, "table": where}


def _gang_stage(session: Session, stage: Stage, console: Console) -> dict[str, Any]:
    from flows import pipeline

    dataset = open_version(session.store, session.recipe.name)
    if stage.name == "pretrain":
        trained = pipeline.pretrain(session, dataset)
        print_training(console, session.store, trained.run, trained.facts)
        console.say(f"\ncheckpoints  {session.store.path('runs', trained.run, 'checkpoints')}")
        console.say("Next: dinoflow evaluate, with the same recipe and workspace")
        return {"run": trained.run, **trained.facts}
    run = pipeline.run_of(session, dataset)
    if not session.store.exists(f"runs/{run}"):
        raise WorkspaceError(f"There is no run {run} in {session.store.url} yet. Run `dinoflow pretrain` first.")
    return _evaluated(session, console, run, pipeline.evaluate(session, dataset, run))


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
    report = session.store.path("runs", run, "report.html")
    if best:
        console.say(f"{'best checkpoint':<20} step {best['step']:,} · {best['by']} {best['value']:.3f}")
    console.say(f"\nreport       {report}")
    return {"run": run, "scores": scores, "best": best, "report": report}


@contextmanager
def local_session(recipe: Recipe, store: Store, console: Console) -> Iterator[Session]:
    """Give a session whose parts are made by child processes of this one."""
    workers = Workers(recipe.compute.width, preload=["curation.measure.measure"])
    try:
        yield Session(recipe, store, Processes(workers), console)
    finally:
        workers.close()


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
    store = Store(withheld(url) if "://" in url else os.path.abspath(url))
    store.write("dinoflow.json", '{"format": 1}\n')
    return store


def _arguments(recipe: str | None, options: "Options") -> dict[str, Any]:
    from flows.recipe.recipe import default_recipe

    arguments: dict[str, Any] = {
        "recipe": recipe or default_recipe(),
        "workspace": options.workspace if "://" in options.workspace else os.path.abspath(options.workspace),
        "sources": [url if "://" in url else os.path.abspath(url) for url in options.source],
        "name": options.name or "",
        "settings": list(options.settings),
    }
    return dict(redacted_tree(arguments))  # Prefect stores them


@contextmanager
def _prefect(console: Console) -> Iterator[None]:
    """Import Prefect quietly, with our console in place of its log on the terminal."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # On a busy machine the temporary server may need more than Prefect's 20 seconds.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    if not os.environ.get("PREFECT_API_URL"):
        console.say("Starting a temporary Prefect server; `dinoflow serve` starts one that stays, with a UI …")
    started = time.monotonic()
    from flows.orchestration import flows

    flows.CONSOLE[:] = [console]
    try:
        yield
    finally:
        flows.CONSOLE.clear()
        console.say(f"\nDone in {time.monotonic() - started:,.0f} s.")
