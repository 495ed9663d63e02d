"""Which machines work: chosen by `compute.runner`. What travels to them is a reference; they read and write storage."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from shared.errors import UserError
from shared.launch.executors import Item, Processes, Result, processes_for
from shared.params import NOTHING, Compute, Resources

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

PRELOADED = ["curation.measure.measure"]
"""What takes long to import, and most processes of this machine need."""


class Cluster(Protocol):
    """Workers on one machine or many. An executor: nothing is started or joined before there is work."""

    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], label: str, needs: Resources = NOTHING
    ) -> Iterator[Result]:
        """Yield the results as they come; what a killed worker held is done again by another."""

    def task_runner(self) -> "TaskRunner[Any]":
        """Return what runs Prefect's task runs on these workers."""

    def holding(self, needs: Resources) -> AbstractContextManager[None]:
        """Give the context in which Prefect's tasks are submitted, so that the engine meets the needs."""

    def deaths(self, fn: Callable[..., object]) -> AbstractContextManager[None]:
        """Raise WorkerDiedError in place of the engine's own word for it."""

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""


def machines_for(compute: Compute) -> "Processes | Cluster":
    """Return what makes the parts. Raises UserError where the runner's extra is not installed."""
    if compute.runner == "threads":
        return processes_for(compute, PRELOADED)
    module = "distributed" if compute.runner == "dask" else "ray"
    if find_spec(module) is None:
        raise UserError(
            f"compute.runner={compute.runner} needs the Python module {module}, which is not installed. "
            f"Run `pip install 'dinoflow[{compute.runner}]'`, or set compute.runner=threads."
        )
    if compute.runner == "dask":
        from flows.orchestration.clusters.dask_cluster import DaskCluster

        return DaskCluster(compute)
    from flows.orchestration.clusters.ray_cluster import RayCluster

    return RayCluster(compute)
