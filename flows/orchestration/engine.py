"""Prefect at work: batches of parts as task runs, a stage as a subflow, an artifact after each stage.

Truth is on storage; Prefect shows and triggers it. A task run is a batch of parts, worked through in a child process
that we own or by a worker of a cluster: a killed one fails one task, and Prefect's retry finds the rest done.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

from prefect import Flow, get_run_logger
from prefect.exceptions import TerminationSignal
from prefect.futures import as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.orchestration.batches import PartsBatch, batch_task
from flows.orchestration.clusters.machines import Cluster, machines_for
from flows.orchestration.pages.artifacts import rows_text, stage_artifact
from flows.session import Around
from shared.launch.executors import Item, Processes, Result
from shared.params import NOTHING, Compute, Resources
from shared.stage import Stage
from shared.tables import Output

MAX_TASK_RUNS = 500
"""In one flow run: the server records about 40 quick task runs a second and drops what overflows its queue."""
MAKING: ContextVar[Callable[[], Output]] = ContextVar("MAKING")
"""What the subflow that starts now is to make."""


class PrefectExecutor:
    """Spreads items over task runs of the flow that is running."""

    def __init__(self, machines: Processes | Cluster, parts_per_task: int = 0) -> None:
        self.machines = machines
        self.parts_per_task = parts_per_task

    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], label: str, needs: Resources = NOTHING
    ) -> Iterator[Result]:
        """Yield the results as the task runs finish."""
        if isinstance(self.machines, Processes):
            with ended_on_request(self.machines):
                yield from self._submitted(partial(self.machines.workers_for(needs).call, fn), items, label)
        elif MAKING.get(None) is None:  # beside the stages, the flow's own task runner is one of threads here
            yield from self.machines.map(fn, items, label, needs)
        else:
            with self.machines.holding(needs):
                results = self._submitted(fn, items, label)
            with self.machines.deaths(fn):
                yield from results

    def _submitted(self, fn: Callable[[Item], Result], items: Sequence[Item], label: str) -> Iterator[Result]:
        """Submit a task run for each batch; return their results as they finish."""
        size = self.parts_per_task or max(1, math.ceil(len(items) / MAX_TASK_RUNS))
        futures = []
        for first in range(0, len(items), size):
            end = min(first + size, len(items))
            task = batch_task(label, _title(label, first + 1, end, len(items)))
            futures.append(task.submit(PartsBatch(fn, items[first:end])))
        return (result for future in as_completed(futures) for result in future.result())


@contextmanager
def ended_on_request(machines: Processes | Cluster) -> Iterator[None]:
    """End the processes when this one is asked to stop: Prefect waits for its threads, which wait for them."""
    try:
        yield
    except (TerminationSignal, KeyboardInterrupt):
        machines.close()
        raise


@cache
def machines_of(compute: Compute) -> Processes | Cluster:
    """Return what makes this process's parts, started once."""
    return machines_for(compute)


def make_stage() -> Output:
    """Make what the subflow is for: by a name of its own, since a flow travels to the workers of a cluster."""
    return MAKING.get()()


def subflows(machines: Processes | Cluster, title: str) -> Around:
    """Return what makes a subflow of each stage, and an artifact of its output on the parent run."""

    def around(stage: Stage, make: Callable[[], Output]) -> Output:
        subflow: Flow[[], Output] = Flow(
            fn=make_stage,
            name=stage.name,
            description=stage.help,
            flow_run_name=title,
            task_runner=_task_runner(machines),
            persist_result=False,
        )
        before = MAKING.set(ended_on_request(machines)(make))
        try:
            output = subflow()
        finally:
            MAKING.reset(before)
        get_run_logger().info("%s: %s", stage.name, rows_text(output))
        stage_artifact(stage, output)
        return output

    return around


def _title(label: str, first: int, last: int, count: int) -> str:
    """Return what a batch is called: in words, since not all of Prefect's pages draw a dash."""
    words = label.replace("_", " ")
    if first == 1 and last == count:
        return words
    return f"{words} {first} of {count}" if first == last else f"{words} {first} to {last} of {count}"


def _task_runner(machines: Processes | Cluster) -> TaskRunner[Any]:
    if isinstance(machines, Processes):
        return ThreadPoolTaskRunner(max_workers=machines.workers.width)
    return machines.task_runner()
