"""A batch of parts as one Prefect task run: what travels to a worker, and what is worth another try."""

from collections.abc import Callable, Sequence
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE

from shared.launch.child_processes import WorkerDiedError
from shared.launch.executors import RETRIES


class PartsBatch:
    """Some items and what is done to each. Prefect does not look inside: it is no collection."""

    def __init__(self, fn: Callable[[Any], Any], items: Sequence[Any]) -> None:
        self.fn, self.items = fn, items

    def work(self) -> list[Any]:
        """Return the results, in order."""
        return [self.fn(item) for item in self.items]


def work_through(batch: PartsBatch) -> list[Any]:
    """Do a batch: by its own name, so that a worker of a cluster finds it."""
    return batch.work()


def worth_another_try(_task: Any, _run: Any, state: Any) -> bool:
    """Tell whether a failure may pass: a killed worker or a hiccup of the storage does, a wrong request does not."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, WorkerDiedError | OSError)


def batch_task(name: str, run_name: str) -> Task[[PartsBatch], list[Any]]:
    """Return the task that does one batch."""
    return Task(
        fn=work_through,
        name=name,
        task_run_name=run_name,
        retries=RETRIES,
        retry_delay_seconds=[2, 10],
        retry_condition_fn=worth_another_try,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
