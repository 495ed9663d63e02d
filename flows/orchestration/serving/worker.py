"""Runs what is triggered, until it is asked to stop; then its flows end, and report it, before it does."""

import asyncio
import signal
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psutil
from prefect import get_client
from prefect.runner import Runner
from prefect.states import Crashed

from flows.orchestration.flows import RUN_ID
from flows.orchestration.serving.automations import keep_automations
from flows.orchestration.serving.deployments import deployments_of
from flows.orchestration.serving.registry import Registry


def work_until_stopped(registry: Registry) -> None:
    """Register the deployments, and run what is triggered until SIGTERM or SIGINT."""
    asyncio.run(_work(registry))


class _Worker(Runner):
    """A runner that is stopped from its own loop: Prefect's handler leaves while flows still run and hold slots."""

    def __init__(self) -> None:
        super().__init__(pause_on_shutdown=False)  # a schedule that is on stays on
        self.asked = asyncio.Event()
        self.waking = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_sigterm)

    def handle_sigterm(self, *_: Any) -> None:
        """Take in a signal."""
        self.waking.call_soon_threadsafe(self.asked.set)


async def _work(registry: Registry) -> None:
    worker, ids = _Worker(), dict[str, UUID]()
    for deployment in deployments_of(registry):
        if worker.asked.is_set():
            return
        ids[deployment.name] = await worker.aadd_deployment(deployment)
    await keep_automations(registry, ids)
    work, asked = asyncio.create_task(worker.start()), asyncio.create_task(worker.asked.wait())
    await asyncio.wait([work, asked], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    here = _runs_here()
    if worker.started:
        await worker.astop()  # asks each flow to end, waits until it has, and tells the server
    elif not work.done():
        work.cancel()
    await asyncio.gather(work, return_exceptions=worker.asked.is_set())
    await _mark_lost(here)


def _runs_here() -> list[UUID]:
    """Return the flow runs that this process has started, and that have not ended."""
    runs = []
    for child in psutil.Process().children():
        try:
            run = child.environ().get(RUN_ID)
        except psutil.Error:  # it ended meanwhile
            continue
        runs += [UUID(run)] if run else []
    return runs


async def _mark_lost(runs: Sequence[UUID]) -> None:
    """See to it that no run whose process is gone is shown as running."""
    async with get_client() as client:
        for run in runs:
            state = (await client.read_flow_run(run)).state
            if state is None or not state.is_final():
                await client.set_flow_run_state(run, Crashed(message="dinoflow serve was stopped."), force=True)
