"""Dask: a cluster of worker processes started here, or a scheduler that runs somewhere.

A worker that is killed is started again by its nanny, and the scheduler gives what it held to another. Workers of a
cluster of your own declare what they have: `dask worker tcp://host:8786 --resources "GPU=1 MEMORY=64"`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import dask
import psutil
from distributed import Client, Nanny, Scheduler, SpecCluster, as_completed
from distributed.scheduler import KilledWorker
from prefect_dask import DaskTaskRunner

from flows.orchestration.clusters.offers import within
from shared.errors import UserError
from shared.launch.child_processes import died
from shared.launch.executors import Item, Result
from shared.launch.gpus import VISIBLE, gpu_environments, visible_gpus
from shared.params import NOTHING, Compute, Resources

CONNECT_SECONDS = 30
GPU, MEMORY = "GPU", "MEMORY"
"""The resources that workers declare: GPUs, and GiB."""


QUIET = {"silence_logs": logging.CRITICAL}
"""A worker that ends is no news: the work's own errors come back as they were raised."""


class DaskCluster:
    """Workers of a Dask scheduler."""

    def __init__(self, compute: Compute) -> None:
        self.compute = compute
        self._own: SpecCluster | None = None

    @cached_property
    def client(self) -> Client:
        """The connection to the scheduler; starts one where no address is given."""
        if self.compute.address:
            try:
                return Client(self.compute.address, set_as_default=False, timeout=CONNECT_SECONDS)
            except OSError as error:
                raise UserError(
                    f"compute.address needs a Dask scheduler that answers, got {self.compute.address}: {error}. "
                    "Start one with `dask scheduler`, or leave the address out."
                ) from error
        gpus = visible_gpus(self.compute.device)
        with dask.config.set({"distributed.worker.daemon": False}):  # so that they may have processes of their own
            self._own = SpecCluster(
                workers=worker_specs(self.compute.width, gpus, psutil.virtual_memory().total / 2**30),
                scheduler={"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard": False}},
                **QUIET,
            )
        return Client(self._own, set_as_default=False)

    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], label: str, needs: Resources = NOTHING
    ) -> Iterator[Result]:
        """Yield the results as they come. Raises WorkerDiedError for work that kills every worker it is given to."""
        with self.deaths(fn):
            futures = self.client.map(fn, items, pure=False, resources=self._resources(needs))
            try:
                for future in as_completed(futures, loop=self.client.loop):
                    yield future.result()
                    future.release()
            finally:
                self.client.cancel(futures)

    def task_runner(self) -> DaskTaskRunner:
        """Return what runs Prefect's task runs on these workers."""
        return DaskTaskRunner(address=self.client.scheduler.address)

    @contextmanager
    def holding(self, needs: Resources) -> Iterator[None]:
        """Give the context in which what is submitted holds these resources of its worker."""
        with dask.annotate(resources=self._resources(needs)):
            yield

    @contextmanager
    def deaths(self, fn: Callable[..., object]) -> Iterator[None]:
        """Raise WorkerDiedError in place of Dask's own word for it."""
        try:
            yield
        except KilledWorker as error:
            raise died(fn) from error

    def close(self) -> None:
        """Leave the scheduler; end it if it was started here."""
        if "client" in vars(self):
            self.client.close()
        if self._own:
            self._own.close()

    def _resources(self, needs: Resources) -> dict[str, float]:
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        offers = [worker.get("resources", {}) for worker in workers]
        return resources_of(needs, offers)


def worker_specs(width: int, gpus: Sequence[str], memory: float) -> dict[str, Any]:
    """Return the workers of a cluster on this machine: one for each core, and one for each GPU, which sees it alone.

    `memory` is the machine's, in GiB; each worker offers its share.
    """
    share = {MEMORY: memory / (width + len(gpus))}
    seats = [(f"core {i}", {VISIBLE: ""}, share) for i in range(width)]
    seats += [
        (f"GPU {i}", environment, {GPU: 1, **share}) for i, environment in enumerate(gpu_environments(gpus, width))
    ]
    return {
        name: {"cls": Nanny, "options": {"nthreads": 1, "memory_limit": 0, "env": env, "resources": offer, **QUIET}}
        for name, env, offer in seats
    }


def resources_of(needs: Resources, offers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return what a task must hold of a worker; nothing of a kind that no worker declares."""
    gpus = max((offer.get(GPU, 0) for offer in offers), default=0)
    memory = max((offer.get(MEMORY, 0) for offer in offers), default=0)
    held = within(needs, gpus, memory)
    return {name: amount for name, amount in ((GPU, float(held.gpu)), (MEMORY, held.memory)) if amount}
