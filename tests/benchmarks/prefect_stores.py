"""The server of infra/compose/compose.yaml without containers: a Postgres and a Redis of its own on loopback.

Needs the Debian packages postgresql and redis-server, or the same programs elsewhere on the PATH.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.ports import free_port
from tests.waiting import LIMIT_SECONDS

COMPOSE = Path(__file__).parents[2] / "infra/compose/compose.yaml"
PASSWORD = "on-loopback-only"
STOP_SECONDS = 60


@contextmanager
def services(folder: Path) -> Iterator[dict[str, str]]:
    """Run a Postgres and a Redis in a folder, and give the settings that compose.yaml has for a server with them."""
    with ExitStack() as stack:
        places = {"postgres:5432": stack.enter_context(postgres(folder / "postgres"))}
        places["redis:6379"] = stack.enter_context(redis(folder / "redis"))
        yield server_settings(places)


def server_settings(places: dict[str, str]) -> dict[str, str]:
    """Return the environment of compose.yaml's server, with `host:port` of each service in place of its own."""
    environment = yaml.safe_load(COMPOSE.read_text())["services"]["prefect-server"]["environment"]
    settings = {}
    for name, value in environment.items():
        value = re.sub(r"\$\{\w+:\?[^}]*\}", PASSWORD, value)
        for theirs, ours in places.items():
            value = value.replace(f"@{theirs}/", f"@{ours}/")
        settings[name] = value
    return settings


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a Postgres with a user and a database `prefect`; give its host and port."""
    port = free_port()
    folder.mkdir()
    (folder / "password").write_text(PASSWORD)
    user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    if user:
        for path in (folder, folder / "password"):
            shutil.chown(path, user)
        folder.parent.chmod(0o755)
    settings: dict[str, Any] = {"user": user, "cwd": folder}
    words = ["-D", folder / "data", "-U", "prefect", f"--pwfile={folder / 'password'}", "-A", "scram-sha-256"]
    subprocess.run([_postgres("initdb"), *words], check=True, stdout=subprocess.DEVNULL, **settings)
    command = [_postgres("postgres"), "-D", folder / "data", "-p", port, "-h", "127.0.0.1", "-k", folder]
    there = ["-h", "127.0.0.1", "-p", str(port), "-U", "prefect"]
    environment = os.environ | {"PGPASSWORD": PASSWORD}
    with _service(command, ["psql", *there, "-c", "select 1", "postgres"], environment, **settings):
        subprocess.run(["createdb", *there, "prefect"], check=True, env=environment)
        yield f"127.0.0.1:{port}"


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run a Redis that writes what it holds to a log, as compose.yaml's; give its host and port."""
    port = free_port()
    folder.mkdir()
    words = ["--bind", "127.0.0.1", "--port", port, "--dir", folder, "--requirepass", PASSWORD, "--appendonly", "yes"]
    ping = ["redis-cli", "-p", port, "-e", "ping"]
    with _service(["redis-server", *words], ping, os.environ | {"REDISCLI_AUTH": PASSWORD}):
        yield f"127.0.0.1:{port}"


@contextmanager
def _service(
    command: Sequence[object], asks: Sequence[object], environment: dict[str, str], **settings: Any
) -> Iterator[None]:
    """Run a service until the end of the block, ready when what asks it ends well."""
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([str(word) for word in command], **quiet, **settings)
    try:
        deadline = time.monotonic() + LIMIT_SECONDS
        while subprocess.run([str(word) for word in asks], env=environment, **quiet).returncode:
            assert process.poll() is None, command
            assert time.monotonic() < deadline, command
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # Postgres: end open connections, and stop in order
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _postgres(name: str) -> str:
    """Return a program of Postgres, which Debian keeps off the PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or str(places[-1])
