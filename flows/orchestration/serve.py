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

START_SECONDS = 300


@contextmanager
def server(host: str, port: int, password: str = "") -> Iterator[str]:
    """Start a Prefect server and give its API address on this machine; stop it by its own handle at the end.

    `password` is user:password. Raises UserError where it cannot listen there.
    """
    try:
        family = socket.getaddrinfo(host, port)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise UserError(
            f"Port {port} of {host} is taken, or is no address of this machine ({error.strerror}). Choose another with "
            "--port or --host, or set PREFECT_API_URL to use the server that runs there."
        ) from error
    environment = os.environ | ({"PREFECT_SERVER_API_AUTH_STRING": password} if password else {})
    command = [sys.executable, "-m", "flows.orchestration.guarded_server", host, str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    here = _url_host(host)
    try:
        _wait_for(f"http://{here}:{port}/api/health", process)
        yield f"http://{here}:{port}/api"
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _url_host(host: str) -> str:
    """Return how this machine reaches what listens on an address: one that means all is no place to go to."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1" if host == "0.0.0.0" else "[::1]"
    return f"[{host}]" if ":" in host else host


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
        pause_on_shutdown=False,  # a request for each deployment, which on a busy machine took longer than stopping
        print_starting_message=False,
    )
