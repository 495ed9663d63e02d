"""A Prefect server of our own: started behind its door, set for what our flows do, and gone with who started it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from shared.errors import UserError, WorkFailedError

START_SECONDS = 300
STOP_SECONDS = 15


@contextmanager
def server(host: str, port: int, password: str = "") -> Iterator[str]:
    """Start a Prefect server and give its API address on this machine; stop it by its own handle at the end.

    `password` is user:password. Raises UserError where it cannot listen there.
    """
    with starting(host, port, {"PREFECT_SERVER_API_AUTH_STRING": password} if password else {}) as ready:
        yield ready()


@contextmanager
def starting(host: str, port: int, environment: Mapping[str, str]) -> Iterator[Callable[[], str]]:
    """Start a Prefect server; give what waits until it answers, and returns its API address on this machine.

    Raises UserError where it cannot listen there.
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
    who = str(os.getpid())
    command = [sys.executable, "-m", "flows.orchestration.serving.guarded_server", host, str(port), who]
    # In a session of its own, Ctrl-C does not reach it: it stays until the flows have reported how they ended.
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield lambda: _api(host, port, process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _api(host: str, port: int, process: "subprocess.Popen[bytes]") -> str:
    """Return the address of a server once it answers there."""
    api = f"http://{_url_host(host)}:{port}/api"
    _wait_for(f"{api}/health", process)
    return api


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
