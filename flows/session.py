"""One request at work: a recipe, a workspace, an executor, and the outputs made so far."""

import time
from collections.abc import Callable
from operator import attrgetter
from typing import TypeVar

from curation.sources.changed import changed_files, remember_changed
from curation.sources.outages import FilesChangedError
from curation.stages import STAGES
from flows.recipe.recipe import Recipe
from shared.errors import RecipeError
from shared.launch.executors import Executor, Inline
from shared.launch.progress import Reporter
from shared.params import Params
from shared.stage import Stage
from shared.stage_runner import Forecast, forecast, idle, run
from shared.storage import Store
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
        self.outputs: dict[str, Output] = {}
        self.seconds: dict[str, float] = {}
        self.changed: set[str] = set()
        """Files that changed while this request was at work."""

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
        """Return what the work gives. Where files changed under way, they are listed and measured again before it.

        Raises FilesChangedError for a file that goes on changing.
        """
        while True:
            try:
                return work()
            except FilesChangedError as error:
                self._start_over(error)

    def _start_over(self, error: FilesChangedError) -> None:
        """Remember which files changed under way, and forget what was made of them."""
        if self.changed & error.files.keys():
            raise error
        self.changed |= error.files.keys()
        remember_changed(self.store, error.files)
        self.outputs.clear()
        names = ", ".join(sorted(error.files)[:SHOWN]) + (" …" if len(error.files) > SHOWN else "")
        self.reporter.line(f"changed under way, and measured again: {names}")

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
