"""One request at work: a recipe, a workspace, an executor, and the outputs made so far."""

import time
from collections.abc import Callable
from copy import copy
from operator import attrgetter
from typing import TypeVar

from curation.sources.changed import changed_files, remember_changed
from curation.sources.outages import FilesChangedError
from curation.stages import STAGES
from flows.recipe.recipe import Recipe
from shared.errors import DamagedFileError, RecipeError
from shared.launch.executors import Executor, Inline
from shared.launch.progress import Reporter
from shared.params import Params
from shared.stage import Stage
from shared.stage_runner import Forecast, forecast, idle, run
from shared.storage import Store
from shared.storage.credentials import remember_lists
from shared.tables import FOLDER as CACHE
from shared.tables import Output
from training.runs.earlier import earlier_runs

WRITERS = {stage.writes.name: stage for stage in STAGES if stage.writes is not None}
"""Which stage writes a table: the graph of stages follows from what they read."""
Around = Callable[[Stage, Callable[[], Output]], Output]
"""Wraps the making of a stage's output: Prefect makes a subflow of it."""
Visited = TypeVar("Visited")
Result = TypeVar("Result")
SHOWN = 5
"""Files that are named where some changed under way."""


def walk(stage: Stage, visited: dict[str, Visited], visit: Callable[[Stage, list[Visited]], Visited]) -> Visited:
    """Return what a visit of the stage gives, after the stages that it reads: the one way through the graph."""
    if stage.name not in visited:
        inputs = [walk(WRITERS[contract.name], visited, visit) for contract in stage.reads]
        visited[stage.name] = visit(stage, inputs)
    return visited[stage.name]


def check_weights(recipe: Recipe, store: Store) -> None:
    """Raise RecipeError where weights that the training is made from are missing, before any image is curated.

    They may be where a run of the same request has taken what it needs of them.
    """
    missing = recipe.training.weights_missing
    if missing and not any(run.params == recipe.training for run in earlier_runs(store)):
        name, path = next(iter(missing.items()))
        key = {"start": "start", "teacher": "objective.distil.teacher", "gram": "objective.gram.teacher"}[name]
        raise RecipeError(
            f"training.{key} needs weights that are there, got {path}. Give a run, a folder or a file, or the "
            "workspace of the run that has taken them."
        )


class Session:
    """Makes outputs on demand, each once."""

    def __init__(
        self, recipe: Recipe, store: Store, executor: Executor, reporter: Reporter, around: Around | None = None
    ) -> None:
        check_weights(recipe, store)
        self.recipe = recipe
        self.store = store
        self.executor = executor
        self.reporter = reporter
        self.around: Around = around or (lambda _, make: make())
        remember_lists(source.url for source in recipe.sources if source.kind == "list")
        self.outputs: dict[str, Output] = {}
        self.seconds: dict[str, float] = {}
        self.changed: set[str] = set()
        """Files that changed while this request was at work."""
        self.damaged: set[str] = set()
        """Files of the cache that were found damaged."""

    def reporting_to(self, reporter: Reporter) -> "Session":
        """Return this session with another reporter; what is made belongs to both."""
        other = copy(self)
        other.reporter = reporter
        return other

    def params(self, stage: Stage) -> Params:
        """Return the recipe's parameters for a stage."""
        if stage.name == "index":
            from_elsewhere = {"sources": self.recipe.sources, "changed": changed_files(self.store)}
            return self.recipe.curation.index.model_copy(update=from_elsewhere)
        params = attrgetter(stage.key)(self.recipe)
        assert isinstance(params, Params)
        return params

    def make(self, stage: Stage) -> Output:
        """Return a curation stage's output, after those that it reads; as `made_again` does."""
        return self.made_again(lambda: walk(stage, self.outputs, self._make))

    def made_again(self, work: Callable[[], Result]) -> Result:
        """Return what the work gives. Files that changed under way are measured again, damaged ones made again.

        Raises FilesChangedError for a file that goes on changing, DamagedFileError for one that is damaged again or
        that no stage makes.
        """
        while True:
            try:
                return work()
            except FilesChangedError as error:
                self._start_over(error)
            except DamagedFileError as error:
                self._mend(error)

    def _start_over(self, error: FilesChangedError) -> None:
        """Remember which files changed under way, and forget what was made of them."""
        if self.changed & error.files.keys():
            raise error
        self.changed |= error.files.keys()
        remember_changed(self.store, error.files)
        self.outputs.clear()
        names = ", ".join(sorted(error.files)[:SHOWN]) + (" …" if len(error.files) > SHOWN else "")
        self.reporter.line(f"changed under way, and measured again: {names}")

    def _mend(self, error: DamagedFileError) -> None:
        """Delete damaged files of the stage cache, and the parts that vouch for them, so that they are made again."""
        if error.file in self.damaged or not error.file.startswith(f"{CACHE}/"):
            raise error
        self.damaged.add(error.file)
        for file in (error.file, *error.beside):
            self.store.delete(file)
            self.store.delete(f"{file.rpartition('/')[0]}.parquet")
        self.outputs.clear()
        more = f", and {len(error.beside):,} more files" if error.beside else ""
        self.reporter.line(f"{error.file} {error.why}{more}: made again")

    def _make(self, stage: Stage, inputs: list[Output]) -> Output:
        params = self.params(stage)
        nothing = idle(stage, params, inputs)
        if nothing:  # no subflow, no line for what is not asked for
            return nothing
        started = time.monotonic()

        def work() -> Output:  # without parameters: Prefect makes a form of those
            report = self.reporter.progress
            return run(stage, params, inputs, store=self.store, executor=self.executor, report=report)

        output = self.around(stage, work)
        self.seconds[stage.name] = round(time.monotonic() - started, 2)
        return output

    def forecast(self) -> dict[str, Forecast]:
        """Return for every curation stage what `make` would do. Sources are listed, nothing else is run."""
        visited: dict[str, Forecast] = {}
        for stage in STAGES:
            walk(stage, visited, self._forecast)
        return visited

    def made_before(self, stage: Stage) -> Output | None:
        """Return a curation stage's output where nothing is left to make. Sources are listed, nothing else is run."""
        one = walk(stage, {}, self._forecast)
        return one.output if one.done else None

    def _forecast(self, stage: Stage, inputs: list[Forecast]) -> Forecast:
        params, outputs = self.params(stage), [one.output for one in inputs]
        if stage.looks_outside and not params.idle:
            listed = run(stage, params, [], store=self.store, executor=Inline())
            return Forecast(stage, params, (), listed, done=True)
        return forecast(stage, params, outputs, self.store)
