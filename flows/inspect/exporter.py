"""`dinoflow metrics WORKSPACE`: what a workspace holds, and how far its training is, for Prometheus to scrape.

It reads files and nothing else: curation and training on other machines, under SLURM or from the command line are seen
as those in Prefect are, and a scrape never waits for them.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.commands.console import Console
from flows.inspect.workspace import existing
from shared.dataset_version import dataset_names, open_version
from shared.errors import DamagedFileError
from shared.storage import Store
from shared.tables import FOLDER

TAIL = 1 << 14
"""Bytes at the end of metrics.jsonl that hold its last line."""
RUNS = "runs"
OF_A_STEP = {
    "step": "Steps that were taken",
    "loss": "Loss of the last step written down",
    "lr": "Learning rate of the heads",
    "images_per_second": "Images trained on in a second, of all processes",
    "mfu": "Model FLOPs utilization, from 0 to 1",
    "data_wait": "Share of the time that training waits for images, from 0 to 1",
    "grad_norm": "Norm of the gradient before clipping",
    "knn_top1": "Share of held-out images that k-NN names right, while training",
    "teacher_effective_rank": "Effective rank of the teacher's features",
    "eta_seconds": "Seconds to the last step",
}
"""What of a line of metrics.jsonl is given away, and its help."""
STATES = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "COMPLETED", "FAILED", "CRASHED", "CANCELLED")
PREFECT_SECONDS = 5.0
"""Time that Prefect's server gets to answer: a scrape ends by itself after ten."""


class WorkspaceCollector(Collector):
    """Reads a workspace anew at each scrape."""

    def __init__(self, store: Store) -> None:
        """Take the workspace."""
        self.store = store

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges of datasets, of stages and of runs."""
        yield from self._datasets()
        yield self._stages()
        yield from self._runs()

    def _datasets(self) -> Iterator[Metric]:
        version = _gauge("dataset_version", "Number of the newest version", ["dataset"])
        images = _gauge("dataset_images", "Images of the newest version", ["dataset", "decision"])
        dropped = _gauge("dataset_dropped_images", "Images dropped from it, by reason", ["dataset", "reason"])
        for name in dataset_names(self.store):
            try:
                newest = open_version(self.store, name)
            except DamagedFileError:
                continue
            version.add_metric([name], int(newest.version.removeprefix("v")))
            for decision in ("kept", "dropped"):
                images.add_metric([name, decision], newest.info["counts"][decision])
            for reason, count in newest.info["counts"]["reasons"].items():
                dropped.add_metric([name, reason], count)
        return iter((version, images, dropped))

    def _stages(self) -> Metric:
        parts = _gauge("stage_parts", "Parts that a curation stage has made, of all versions", ["stage"])
        for stage in self.store.names(FOLDER):
            made = sum(name.endswith(".parquet") for name in self.store.names(f"{FOLDER}/{stage}"))
            parts.add_metric([stage], made)
        return parts

    def _runs(self) -> Iterator[Metric]:
        gauges = {name: _gauge(f"training_{name}", text, ["run"]) for name, text in OF_A_STEP.items()}
        losses = _gauge("training_loss_part", "Each of the losses, before its weight", ["run", "part"])
        for run in self.store.names(RUNS):
            line = self._last_line(f"{RUNS}/{run}/metrics.jsonl")
            for name, gauge in gauges.items():
                if isinstance(line.get(name), int | float):
                    gauge.add_metric([run], line[name])
            for name, value in line.items():
                if name.startswith("loss_") and isinstance(value, int | float):
                    losses.add_metric([run, name.removeprefix("loss_")], value)
        return iter((*gauges.values(), losses))

    def _last_line(self, name: str) -> dict[str, Any]:
        """Return the last whole line of a file of objects, nothing where there is none."""
        try:
            size = self.store.sizes(name.rpartition("/")[0])[name.rpartition("/")[2]]
            tail = self.store.read_range(name, max(0, size - TAIL), min(size, TAIL))
        except (KeyError, OSError):
            return {}
        for line in reversed(tail.splitlines()):
            try:
                facts: dict[str, Any] = json.loads(line)
            except ValueError:  # being written
                continue
            return facts
        return {}


class QueueCollector(Collector):
    """Asks the Prefect server that PREFECT_API_URL names how many flow runs there are in each state."""

    def __init__(self, api: str, password: str) -> None:
        """Take the address of the API and NAME:PASSWORD, or nothing where none is set."""
        name, _, secret = password.partition(":")
        self.client = httpx.Client(
            base_url=api, auth=(name, secret) if password else None, timeout=PREFECT_SECONDS, trust_env=False
        )

    def collect(self) -> Iterable[Metric]:
        """Yield flow runs by state, and whether the server answered."""
        runs, up = _gauge("flow_runs", "Flow runs in a state", ["state"]), _gauge("prefect_up", "Prefect answers", [])
        try:
            for state in STATES:
                wanted = {"flow_runs": {"state": {"type": {"any_": [state]}}}}
                answer = self.client.post("flow_runs/count", json=wanted).raise_for_status()
                runs.add_metric([state.lower()], answer.json())
            up.add_metric([], 1)
        except httpx.HTTPError:
            up.add_metric([], 0)
        yield from (runs, up)


def _gauge(name: str, text: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dinoflow_{name}", text, labels=labels)


def serve_metrics(workspace: str, host: str, port: int) -> None:
    """Answer scrapes until the process is stopped."""
    console, registry = Console(), CollectorRegistry()
    registry.register(WorkspaceCollector(existing(workspace)))
    if api := os.environ.get("PREFECT_API_URL"):
        registry.register(QueueCollector(api, os.environ.get("PREFECT_API_AUTH_STRING", "")))
    server, _ = start_http_server(port, host, registry)
    console.say(f"Prometheus finds {workspace} at http://{host}:{server.server_port}/metrics. Stop with Ctrl-C.")
    while True:
        time.sleep(3600)
