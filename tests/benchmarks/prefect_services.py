"""Whether a Prefect server records every task run, on SQLite or on Postgres and Redis, and its cost, as Markdown.

    python tests/benchmarks/prefect_services.py [--tasks 5000] [--stores sqlite-defaults sqlite services]

A flow of task runs that do nothing, four at a time: the worst that a flow of ours could do, whose task runs are batches
of minutes. Then it waits until the server has all of them, or no more for --patience seconds. `services` is the server
of infra/compose/compose.yaml, its settings read from there, with a Postgres and a Redis of its own on loopback;
`sqlite` is what `dinoflow serve` starts; `sqlite-defaults` the same at Prefect's own batch sizes.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
from prefect_stores import services

from flows.orchestration.serving.server import server
from tests.ports import free_port

PASSWORD = "dinoflow:benchmark"
PREFECT_DEFAULTS = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "1",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "1",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "5",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "20",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "5",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "1",
}
PROGRAMS = ("nothing.map", "guarded_server", "postgres", "redis")
"""In the command lines of the flow, the server, and what it stores in."""
STORES = ("sqlite-defaults", "sqlite", "services")
FLOW = """
import sys
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

@task
def nothing(number: int) -> None: ...

@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def many(count: int) -> None:
    for future in nothing.map(range(count)):
        future.wait()

many(int(sys.argv[1]))
print("done", flush=True)
sys.stdin.read()
"""
"""Stays until it is let go: a process that ends takes along what is on the way, once the server is 10 s behind."""


@contextmanager
def settings_of(store: str, folder: Path) -> Iterator[dict[str, str]]:
    """Give the settings of a server on such a store, whose services run meanwhile."""
    if store == "services":
        with services(folder) as settings:
            yield settings
    else:
        yield PREFECT_DEFAULTS if store == "sqlite-defaults" else {}


def row(store: str, tasks: int, patience: float, folder: Path) -> str:
    """Run the flow against a server on this store and return what came of it as a row."""
    with settings_of(store, folder) as settings:
        environment = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_AUTH_STRING": PASSWORD}
        os.environ.update(environment | settings)
        with server("127.0.0.1", free_port(), PASSWORD) as api:
            idle = cpu_seconds()
            began = time.monotonic()
            with flow_of(tasks, api) as flow:
                assert flow.stdout
                assert flow.stdout.readline()
                flow_seconds = time.monotonic() - began
                recorded, seconds = wait_for_all(api, tasks, patience, began)
                used = {name: cpu - idle.get(name, 0) for name, cpu in cpu_seconds().items()}
        for name in environment | settings:
            del os.environ[name]
    cpu = [f"{used.get(name, 0):.0f}" for name in PROGRAMS]
    numbers = [f"{flow_seconds:.0f}", f"{seconds:.0f}", f"{recorded / seconds:.0f}", *cpu]
    return f"| {' | '.join([store, f'{recorded:,}', f'{tasks - recorded:,}', *numbers])} |"


@contextmanager
def flow_of(tasks: int, api: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the flow, and let its process go at the end of the block."""
    environment = os.environ | {"PREFECT_API_URL": api, "PREFECT_LOGGING_LEVEL": "ERROR"}
    command = [sys.executable, "-c", FLOW, str(tasks)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process


def wait_for_all(api: str, tasks: int, patience: float, began: float) -> tuple[int, float]:
    """Return how many task runs the server has as completed, and after how many seconds it had the last of them."""
    recorded, at = 0, time.monotonic()
    while recorded < tasks and time.monotonic() - at < patience:
        count = completed(api)
        if count > recorded:
            recorded, at = count, time.monotonic()
        time.sleep(1)
    return recorded, at - began


def completed(api: str) -> int:
    """Return how many task runs the server has as completed."""
    asked = json.dumps({"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}).encode()
    login = {"Authorization": f"Basic {b64encode(PASSWORD.encode()).decode()}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{api}/task_runs/count", asked, login)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return int(answer.read())


def cpu_seconds() -> dict[str, float]:
    """Return CPU seconds so far of what this process started and has not waited for, by program."""
    used: dict[str, float] = defaultdict(float)
    for child in psutil.Process().children():
        name = next((one for one in PROGRAMS if one in " ".join(child.cmdline())), "others")
        for process in [child, *child.children(recursive=True)]:
            used[name] += sum(process.cpu_times()[:4])  # with that of its own children that have ended
    return used


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--patience", type=float, default=120.0)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    given = parser.parse_args()
    load = f"load {os.getloadavg()[0]:.0f}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, {load}\n")
    print("| store | recorded | lost | flow s | all recorded s | a second | flow CPU s | server | Postgres | Redis |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    for each in given.stores:
        with tempfile.TemporaryDirectory() as name:
            print(row(each, given.tasks, given.patience, Path(name)), flush=True)
