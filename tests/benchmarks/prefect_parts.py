"""A stage of parts that keep a core busy, through Prefect or without: `prefect_parts.py plain|prefect PARTS SECONDS`.

prefect_cost.py runs it and counts.
"""

import sys
import time
from functools import partial

from shared.launch.executors import processes_for
from shared.params import Compute

COMPUTE = Compute(workers=2)


def busy(seconds: float, number: int) -> int:
    """Keep a core busy for so many CPU seconds."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return number


def plain(parts: int, seconds: float) -> None:
    """Do the parts in child processes alone."""
    machines = processes_for(COMPUTE)
    assert len(list(machines.map(partial(busy, seconds), range(parts), "busy"))) == parts
    machines.close()


def in_prefect(parts: int, seconds: float) -> None:
    """Do the parts in task runs of a flow."""
    from prefect import flow

    from flows.orchestration.engine import PrefectExecutor, machines_of

    @flow
    def stage() -> None:
        executor = PrefectExecutor(machines_of(COMPUTE))
        assert len(list(executor.map(partial(busy, seconds), range(parts), "busy"))) == parts

    stage()


if __name__ == "__main__":
    how, parts_given, seconds_given = sys.argv[1:]
    (plain if how == "plain" else in_prefect)(int(parts_given), float(seconds_given))
