"""Where work runs: here, or in child processes that we own, so that a killed child costs one piece of work."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol, TypeVar

from shared.launch.child_processes import WorkerDiedError, Workers
from shared.launch.gpus import CORES, VISIBLE, gpu_environments, visible_gpus
from shared.params import NOTHING, Compute, Resources

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 2
"""How often work is tried again after its process was killed from outside."""


class Executor(Protocol):
    """Runs a function over items; the order of the results does not matter."""

    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], label: str, needs: Resources = NOTHING
    ) -> Iterator[Result]:
        """Yield the results as they come; each call has what it needs of the machine that it runs on."""


class Inline:
    """One after the other, in this process: for tests and debuggers."""

    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], label: str, needs: Resources = NOTHING
    ) -> Iterator[Result]:
        """Yield the results in order."""
        return map(fn, items)


class Processes:
    """Items spread over worker processes; what a killed worker held is tried again."""

    def __init__(self, workers: Workers, on_gpus: Workers | None = None) -> None:
        """Take processes for each core and, where there are GPUs, one for each of them."""
        self.workers = workers
        self.on_gpus = on_gpus

    def workers_for(self, needs: Resources) -> Workers:
        """Return the processes that have what the work needs."""
        return self.on_gpus if self.on_gpus and needs.gpu else self.workers

    def close(self) -> None:
        """End every process, busy or not."""
        for workers in (self.workers, self.on_gpus):
            if workers:
                workers.close()

    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], label: str, needs: Resources = NOTHING
    ) -> Iterator[Result]:
        """Yield the results as they come."""
        workers = self.workers_for(needs)
        with ThreadPoolExecutor(workers.width, thread_name_prefix=label) as threads:
            futures = [threads.submit(_try, workers, fn, item) for item in items]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()


def _try(workers: Workers, fn: Callable[[Item], Result], item: Item) -> Result:
    for _ in range(RETRIES):
        try:
            return workers.call(fn, item)
        except WorkerDiedError:
            continue
    return workers.call(fn, item)


def processes_for(compute: Compute, preload: Sequence[str] = ()) -> Processes:
    """Return this machine's processes: one for each core, which see no GPU, and one for each GPU, which sees that one.

    None is started before it has work.
    """
    gpus = visible_gpus(compute.device)
    cores = {CORES: "1", VISIBLE: ""}
    on_gpus = Workers(gpu_environments(gpus, compute.width), preload) if gpus else None
    return Processes(Workers([cores] * compute.width, preload), on_gpus)
