"""Prefect at work: batches of parts as task runs, a stage as a subflow, an artifact after each stage.

Truth is on storage; Prefect shows and triggers it. A task run is a batch of parts, worked through in a child
process that we own, so that a killed child fails one task and Prefect's retry finds the rest done.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from prefect import Flow, get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.orchestration.artifacts import stage_artifact
from flows.session import Around
from shared.launch.executors import RETRIES, Item, Result, WorkerDiedError, Workers
from shared.launch.progress import ProgressEvent, Reporter
from shared.stage import Stage
from shared.tables import Output

MAX_TASK_RUNS = 500
"""In one flow run: the server records about 40 quick task runs a second and drops what overflows its queue."""
TENTHS = 10
"""Steps in which a flow's log and artifacts follow a piece of work."""


class PrefectExecutor:
    """Spreads items over task runs of the flow that is running."""

    def __init__(self, workers: Workers, parts_per_task: int = 0) -> None:
        self.workers = workers
        self.parts_per_task = parts_per_task

    def map(self, fn: Callable[[Item], Result], items: Sequence[Item], label: str) -> Iterator[Result]:
        """Yield the results as the task runs finish."""
        size = self.parts_per_task or max(1, math.ceil(len(items) / MAX_TASK_RUNS))

        @task(
            name=label,
            retries=RETRIES,
            retry_delay_seconds=[2, 10],
            retry_condition_fn=_worth_another_try,
            cache_policy=NO_CACHE,
            persist_result=False,
        )
        def batch(first: int, end: int) -> list[Result]:
            return [self.workers.call(fn, item) for item in items[first:end]]

        futures = []
        for first in range(0, len(items), size):
            end = min(first + size, len(items))
            named = batch.with_options(task_run_name=f"{label} {first + 1}–{end} of {len(items)}")
            futures.append(named.submit(first, end))
        for future in as_completed(futures):
            yield from future.result()


def _worth_another_try(_task: Any, _run: Any, state: Any) -> bool:
    """A killed worker or a hiccup of the storage passes; a wrong request does not."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, WorkerDiedError | OSError)


@cache
def workers_of(width: int) -> Workers:
    """Return this process's workers, started once."""
    return Workers(width, preload=["curation.measure.measure"])


def subflows(width: int, title: str) -> Around:
    """Return what makes a subflow of each stage, and an artifact of its output on the parent run."""

    def around(stage: Stage, make: Callable[[], Output]) -> Output:
        runner: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=width)
        subflow: Flow[[], Output] = Flow(
            fn=make,
            name=stage.name,
            description=stage.help,
            flow_run_name=title,
            task_runner=runner,
            persist_result=False,
        )
        output = subflow()
        get_run_logger().info("%s: %s rows, %s", stage.name, f"{output.rows:,}", output.reasons or "no reasons")
        stage_artifact(stage, output)
        return output

    return around


class RunLog:
    """Shows progress on the pages of the running flow, and what else a person at the terminal sees in its log."""

    def __init__(self, console: Reporter | None = None) -> None:
        self.console = console
        self._logged: dict[str, int] = {}
        self._artifacts: dict[str, UUID] = {}

    def progress(self, event: ProgressEvent) -> None:
        """Log every tenth of a piece of work, and show it as a bar once it has begun."""
        if self.console:
            self.console.progress(event)
        tenth = TENTHS * event.done // event.total if event.total else 0
        if self._logged.get(event.kind) == tenth and not event.ended:
            return
        self._logged[event.kind] = tenth
        get_run_logger().info(event.text)
        percent = 100 * event.done / event.total if event.total else 0.0
        if event.kind in self._artifacts:
            update_progress_artifact(self._artifacts[event.kind], progress=percent, description=event.text)
        elif 0 < event.done < event.total:  # what is done at once needs no bar
            key = f"progress-{event.kind.replace('_', '-')}"
            made = create_progress_artifact(percent, key=key, description=event.text)
            assert isinstance(made, UUID)
            self._artifacts[event.kind] = made
        if event.ended:
            self._artifacts.pop(event.kind, None)
            self._logged.pop(event.kind)

    def line(self, text: str) -> None:
        """Log a line of a gang."""
        if self.console:
            self.console.line(text)
        get_run_logger().info(text)
