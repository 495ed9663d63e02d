"""`dinoflow serve`: a Prefect server on loopback, the deployments with their forms and schedules, and a worker."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.errors import UserError, WorkFailedError

START_SECONDS = 120


@contextmanager
def server(port: int) -> Iterator[str]:
    """Start a Prefect server on loopback and give its API address; stop it by its own handle at the end."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"Port {port} of 127.0.0.1 is taken ({error.strerror}). Choose another with --port, or set "
                "PREFECT_API_URL to use the server that runs there."
            ) from error
    environment = os.environ | {
        "PREFECT_SERVER_API_PORT": str(port),  # the option --port leaves the UI talking to 4200
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/health", process)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise WorkFailedError(
        f"The Prefect server must answer at {url}, got nothing in {START_SECONDS} s or until it ended (exit code "
        f"{process.poll()}). Run `prefect server start` to see why."
    )


def serve_deployments(workspace: str, cron: str) -> None:
    """Register every flow with its form, and run what is triggered until stopped."""
    from prefect import serve
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.orchestration import flows
    from flows.orchestration.ablation_flow import ablate

    one_at_a_time = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    nightly = Cron(cron, timezone="UTC", active=False)
    in_turn = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)

    def deployment(flow: Any, name: str, **more: Any) -> Any:
        return flow.to_deployment(
            name,
            tags=["dinoflow"],
            entrypoint_type=EntrypointType.MODULE_PATH,
            parameters={"workspace": workspace},
            **more,
        )

    serve(
        deployment(flows.run, "pipeline", concurrency_limit=in_turn),
        deployment(flows.curate, "re-curation", schedule=nightly, concurrency_limit=one_at_a_time),
        deployment(flows.pretrain, "training", concurrency_limit=in_turn),
        deployment(ablate, "ablation", concurrency_limit=in_turn),
        deployment(flows.evaluate, "evaluation"),
        *(deployment(stage, "stage") for stage in flows.SINGLE),
        print_starting_message=False,
    )
