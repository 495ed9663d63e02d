"""One request at work: a recipe, a workspace, an executor, and the outputs made so far."""

import time
from collections.abc import Callable
from operator import attrgetter
from typing import Protocol

from curation.sources.changed import changed_files, remember_changed
from curation.sources.outages import FilesChangedError
from curation.stages import STAGES as CURATION
from flows.recipe.recipe import Recipe
from shared.launch.executors import Executor
from shared.params import Params
from shared.stage import Stage
from shared.stage_runner import idle, run
from shared.storage import Store
from shared.tables import Output

WRITERS = {stage.writes.name: stage for stage in CURATION if stage.writes is not None}
"""Which stage writes a table: the graph of stages follows from what they read."""


TOLD = 5
"""Files that are named where some changed under way."""


class Reporter(Protocol):
    """Where a person follows the work."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell how far a stage is, in images."""

    def line(self, text: str) -> None:
        """Tell one line."""


class Silent:
    """A reporter that tells nobody: for scripts and tests."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell nothing."""

    def line(self, text: str) -> None:
        """Tell nothing."""


Around = Callable[[Stage, Callable[[], Output]], Output]
"""Wraps the making of a stage's output: Prefect makes a subflow of it."""


class Session:
    """Makes outputs on demand, each once."""

    def __init__(
        self, recipe: Recipe, store: Store, executor: Executor, reporter: Reporter, around: Around | None = None
    ) -> None:
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
            found_elsewhere = {"sources": self.recipe.sources, "changed": changed_files(self.store)}
            return self.recipe.curation.index.model_copy(update=found_elsewhere)
        found = attrgetter(stage.key)(self.recipe)
        assert isinstance(found, Params)
        return found

    def make(self, stage: Stage) -> Output:
        """Return a curation stage's output, after those that it reads.

        Files that changed under way are listed and measured again. Raises FilesChangedError for one that goes on so.
        """
        while True:
            try:
                return self._made(stage)
            except FilesChangedError as error:
                self._start_over(error)

    def _made(self, stage: Stage) -> Output:
        if stage.name not in self.outputs:
            inputs = [self._made(WRITERS[contract.name]) for contract in stage.reads]
            nothing = idle(stage, self.params(stage), inputs)
            if nothing:  # no subflow, no line for what is not asked for
                self.outputs[stage.name] = nothing
                return nothing
            started = time.monotonic()
            self.outputs[stage.name] = self.around(
                stage,
                lambda: run(
                    stage,
                    self.params(stage),
                    inputs,
                    store=self.store,
                    executor=self.executor,
                    progress=self.reporter.progress,
                ),
            )
            self.seconds[stage.name] = round(time.monotonic() - started, 2)
        return self.outputs[stage.name]

    def _start_over(self, error: FilesChangedError) -> None:
        """Remember which files changed under way, and forget what was made of them."""
        if self.changed & error.files.keys():
            raise error
        self.changed |= error.files.keys()
        remember_changed(self.store, error.files)
        self.outputs.clear()
        names = ", ".join(sorted(error.files)[:TOLD]) + (" …" if len(error.files) > TOLD else "")
        self.reporter.line(f"{len(error.files):,} files changed under way, and are measured again: {names}")
