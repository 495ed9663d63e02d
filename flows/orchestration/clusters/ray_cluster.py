"""Ray: a cluster on this machine started here, or one that runs somewhere.

What a killed worker held is done again by another. Ray gives each piece of work its GPU by itself, and hides the rest.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any

import ray
from prefect_ray import RayTaskRunner
from prefect_ray.context import remote_options
from ray.exceptions import OutOfMemoryError, RayTaskError, WorkerCrashedError

from flows.orchestration.clusters.offers import within
from shared.errors import UserError
from shared.launch.child_processes import died
from shared.launch.executors import RETRIES, Item, Result
from shared.launch.gpus import CORES, visible_gpus
from shared.params import NOTHING, Compute, Resources

WINDOW = 1000
"""So many pieces are with Ray at a time: it looks through all of them for every one that is done."""
STORE_BYTES = 128 << 20
"""Of Ray's memory for objects: what travels are references and short lists."""
START_TRIES = 4
GIB = 2**30


class RayCluster:
    """Workers of Ray."""

    def __init__(self, compute: Compute) -> None:
        self.compute = compute

    @cached_property
    def nodes(self) -> list[dict[str, float]]:
        """What each machine offers; starts Ray where no address is given."""
        quiet: dict[str, Any] = {"namespace": "dinoflow", "log_to_driver": False, "logging_level": logging.ERROR}
        if self.compute.address:
            try:
                ray.init(self.compute.address, **quiet)
            except (ConnectionError, ValueError) as error:
                raise UserError(
                    f"compute.address needs a Ray cluster that answers, got {self.compute.address}: {error}. "
                    "Start one with `ray start --head`, or leave the address out."
                ) from error
        else:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            gpus = len(visible_gpus(self.compute.device))
            here: dict[str, Any] = {
                "num_cpus": self.compute.width,
                "num_gpus": gpus,
                "object_store_memory": STORE_BYTES,
            }
            _start(include_dashboard=False, **here, **quiet)
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], label: str, needs: Resources = NOTHING
    ) -> Iterator[Result]:
        """Yield the results as they come. Raises WorkerDiedError for work that kills every worker it is given to."""
        remote = ray.remote(call).options(name=label, max_retries=RETRIES, **options_of(needs, self.nodes))
        waiting = iter(items)
        pending = [remote.remote(fn, item) for item in islice(waiting, WINDOW)]
        try:
            while pending:
                (done,), pending = ray.wait(pending)
                pending += [remote.remote(fn, item) for item in islice(waiting, 1)]
                with self.deaths(fn):
                    result = ray.get(done)
                yield result
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)

    def task_runner(self) -> RayTaskRunner[Any]:
        """Return what runs Prefect's task runs on these workers."""
        assert self.nodes
        return RayTaskRunner(address=self.compute.address or None)

    @contextmanager
    def holding(self, needs: Resources) -> Iterator[None]:
        """Give the context in which what is submitted holds these resources."""
        with remote_options(max_retries=RETRIES, **options_of(needs, self.nodes)):
            yield

    @contextmanager
    def deaths(self, fn: Callable[..., object]) -> Iterator[None]:
        """Raise WorkerDiedError in place of Ray's words for it, and what the work itself raised as it raised it."""
        try:
            yield
        except (WorkerCrashedError, OutOfMemoryError) as error:
            raise died(fn) from error
        except RayTaskError as error:
            raise error.cause from error

    def close(self) -> None:
        """Leave Ray; end it if it was started here."""
        if vars(self).pop("nodes", None):
            ray.shutdown()


def _start(**settings: Any) -> None:
    """Start Ray here; on a busy machine it may need more than the 30 s that it gives itself, so it is asked again."""
    for _ in range(START_TRIES - 1):
        try:
            ray.init("local", **settings)
            return
        except Exception as error:  # Ray has no class of its own for it
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
    ray.init("local", **settings)


def call(fn: Callable[[Item], Result], item: Item) -> Result:
    """Do one piece of work, in a worker."""
    return fn(item)


def options_of(needs: Resources, nodes: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return what Ray must set aside for a piece of work, as its machines can give it.

    Work on a GPU gets a share of its machine's cores, to decode images for it.
    """
    gpus = max((node.get("GPU", 0) for node in nodes), default=0)
    held = within(needs, gpus, max((node.get("memory", 0) for node in nodes), default=0) / GIB)
    shares = [int(node.get("CPU", 1) // node["GPU"]) for node in nodes if node.get("GPU")]
    cores = max(1, min(shares)) if held.gpu else 1
    environment = {"runtime_env": {"env_vars": {CORES: str(cores)}}} if cores > 1 else {}
    return {"num_cpus": cores, "num_gpus": int(held.gpu), "memory": int(held.memory * GIB), **environment}
