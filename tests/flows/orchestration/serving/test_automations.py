"""What happens by itself, really fired: lost runs are marked, a version is trained on once, however often told."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flows.orchestration.flows import NOTHING_NEW, PUBLISHED
from flows.orchestration.serving.automations import HEARTBEAT
from flows.orchestration.serving.server import server
from tests.conftest import draw_classes
from tests.flows.orchestration.serving.test_serve import FILE, ROOT, TINY, Served
from tests.ports import free_port
from tests.prefect_api import Api
from tests.prefect_home import furnished
from tests.waiting import started, until

pytestmark = pytest.mark.slow
HEARTBEAT_SECONDS, LOST_SECONDS = 30, 45
"""The first is the least that Prefect allows."""
LIVING = """
import time
from prefect import flow

@flow(flow_run_name="{name}")
def living(name: str) -> None:
    time.sleep(600)

import sys
living(sys.argv[1])
"""
KEEP = """
import asyncio, sys
from flows.orchestration.serving.automations import keep_automations
from flows.orchestration.serving.registry import Registry
asyncio.run(keep_automations(Registry(lost_after=int(sys.argv[1])), {}))
"""


def test_a_run_whose_process_was_killed_is_marked_as_crashed_and_a_living_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started by hand, so that no worker is there to tell of its end."""
    monkeypatch.setenv("PREFECT_HOME", str(furnished(tmp_path)))
    monkeypatch.setenv("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", str(HEARTBEAT_SECONDS))
    port = free_port()
    with server("127.0.0.1", port) as url, ExitStack() as processes:
        api = Api(port)
        environment = os.environ | {"PREFECT_API_URL": url, "PYTHONPATH": str(ROOT)}
        keep = [sys.executable, "-c", KEEP, str(LOST_SECONDS)]
        subprocess.run(keep, env=environment, check=True, timeout=300)
        two = {
            name: processes.enter_context(started([sys.executable, "-c", LIVING, name], env=environment))
            for name in ("killed", "living")
        }

        def state(name: str) -> str:
            runs = api.post("/flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})
            return runs[0]["state_type"] if runs else ""

        def signs() -> set[str]:
            events = api.post("/events/filter")["events"]
            return {one["resource"]["prefect.resource.name"] for one in events if one["event"] == HEARTBEAT}

        until(lambda: signs() == set(two), "both have shown a sign of life")
        two["killed"].send_signal(signal.SIGKILL)
        until(lambda: state("killed") == "CRASHED", "the lost run is marked", seconds=300)
        [run] = api.post("/flow_runs/filter", {"flow_runs": {"name": {"any_": ["killed"]}}})
        assert run["state"]["message"] == f"No sign of life for {LOST_SECONDS} s."
        assert state("living") == "RUNNING"


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`dinoflow serve FILE`, beside a version that a command published, of which no event told."""
    home = tmp_path_factory.mktemp("curated")
    draw_classes(home / "photos", 24)
    recipe = TINY.replace("PHOTOS", str(home / "photos")).replace("steps: 100000", "steps: 4")
    (home / "tiny.yaml").write_text(recipe.replace("checkpoint_every: 100000", "checkpoint_every: 4"))
    (home / "dinoflow.yaml").write_text(FILE)
    words = ["pack", home / "tiny.yaml", "--workspace", home / "w"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "flows.cli", *words], env=environment, check=True, timeout=300)
    one = Served(furnished(home))
    with one.exits:
        one.start()
        yield one


def tell(served: Served) -> None:
    """Emit the event of the version, as the flow that publishes it does."""
    resource = {"prefect.resource.id": "dataset.pets.v0001", "dinoflow.workspace": str(served.home / "w")}
    event = {"event": PUBLISHED, "resource": resource, "payload": {"name": "pets", "version": "v0001"}}
    served.api.call("POST", "/events", [event | {"occurred": datetime.now(UTC).isoformat(), "id": str(uuid4())}])


def trainings(served: Served) -> list[Any]:
    deployment = served.api.deployments()["pretrain/train on pets"]["id"]
    begun = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}
    asked = {"deployments": {"id": {"any_": [deployment]}}, "flow_runs": begun, "sort": "START_TIME_ASC"}
    return list(served.api.post("/flow_runs/filter", asked))


def test_the_same_event_twice_trains_once_and_the_evaluation_follows(curated: Served) -> None:
    tell(curated)
    tell(curated)
    until(lambda: len(trainings(curated)) == 2, "each event starts a run")
    states = [curated.api.wait(run["id"])["state_name"] for run in trainings(curated)]
    assert sorted(states) == ["Completed", NOTHING_NEW], curated.log()
    [run] = (curated.home / "w/runs").iterdir()
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4], "trained once"
    [scores] = (curated.home / "w/evaluations" / run.name).glob("4.json")
    assert {one["evaluation"] for one in json.loads(scores.read_text())["scores"]} >= {"knn"}
    [first] = [one["id"] for one in trainings(curated) if one["state_name"] == "Completed"]
    pages = curated.api.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [first]}}})
    assert {"training", "evaluation"} <= {one["key"] for one in pages}
    assert curated.slots() == {"training": 0}
