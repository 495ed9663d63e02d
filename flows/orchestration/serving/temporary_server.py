"""A Prefect server for one command, where none is named: it starts while the flows are imported, and ends with us.

Prefect would start one of its own at the first question, and import the whole server into this process for that.
"""

import atexit
import socket
from collections.abc import Callable
from contextlib import ExitStack

from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from flows.orchestration.serving.server import starting
from shared.errors import UserError
from shared.params import Compute

HOST = "127.0.0.1"
ENVIRONMENT = {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT_UI_ENABLED": "0"}
"""As Prefect's own: without pages, and without the services that start what is scheduled."""


def temporary_server(compute: Compute) -> Callable[[], None]:
    """Start a server where none is named; return what waits until this process, and its workers, use it.

    Raises UserError for a cluster elsewhere, whose workers could not reach it.
    """
    if PREFECT_API_URL.value() or not PREFECT_SERVER_ALLOW_EPHEMERAL_MODE.value():
        return lambda: None
    if compute.runner != "threads" and compute.address and not any(h in compute.address for h in (HOST, "localhost")):
        raise UserError(
            f"The workers at {compute.address} need a Prefect server that they reach, got none in PREFECT_API_URL. "
            "Set it to your server's, or run `dinoflow pack`, which does the same without Prefect."
        )
    until_exit = ExitStack()
    atexit.register(until_exit.close)  # Prefect's own handlers come later, and go first: the last events arrive
    ready = until_exit.enter_context(starting(HOST, _free_port(), ENVIRONMENT))

    def reach() -> None:
        from flows.orchestration.taking_turns import SERVER_ENDS_WITH_US  # seconds, in which the server starts

        until_exit.enter_context(temporary_settings({PREFECT_API_URL: ready()}))
        SERVER_ENDS_WITH_US.set(True)

    return reach


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
