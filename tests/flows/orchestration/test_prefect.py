"""Prefect for real: a server on loopback, the served deployments, a form filled over HTTP, the pages' contents."""

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from curation.stages import STAGES
from tests.waiting import started

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Api:
    """The server's HTTP interface, as a browser uses it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api"

    def call(self, method: str, path: str, body: Any = None) -> bytes:
        """Send a request; a server that is busy (503) is asked again, as Prefect's own client does."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        for again in range(20):
            request = urllib.request.Request(self.url + path, data, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return bytes(answer.read())
            except urllib.error.HTTPError as error:
                if error.code != 503 or again == 19:
                    raise
                time.sleep(0.5)
        raise AssertionError

    def post(self, path: str, body: Any = None) -> Any:
        return json.loads(self.call("POST", path, body or {}))

    def patch(self, path: str, body: Any) -> None:
        self.call("PATCH", path, body)

    def get(self, path: str) -> Any:
        return json.loads(self.call("GET", path))

    def deployments(self) -> dict[str, Any]:
        names = {flow["id"]: flow["name"] for flow in self.post("/flows/filter")}
        return {f"{names[d['flow_id']]}/{d['name']}": d for d in self.post("/deployments/filter")}

    def wait(self, run: str) -> Any:
        for _ in range(240):
            found = self.get(f"/flow_runs/{run}")
            if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return found
            time.sleep(0.5)
        raise TimeoutError(found["state_name"])


def heeds_ctrl_c():
    """Undo what a shell does to commands in the background: they, and all that they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """`dinoflow serve` in a home of its own, stopped as a person stops it."""
    home = tmp_path_factory.mktemp("prefect")
    port, log = free_port(), (home / "log").open("w")
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "2",
        "PYTHONPATH": str(ROOT),
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | settings
    command = [sys.executable, "-m", "flows.cli", "serve", "--port", str(port), "--workspace", str(home / "w")]
    told = {"cwd": ROOT, "env": environment, "stdout": log, "stderr": log, "preexec_fn": heeds_ctrl_c}
    with started(command, **told) as process:
        api = Api(port)
        for _ in range(300):
            try:
                if len(api.deployments()) == len(STAGES) + 5:
                    break
            except (urllib.error.URLError, OSError):
                pass
            assert process.poll() is None, (home / "log").read_text()
            time.sleep(0.5)
        yield api, home
        process.send_signal(signal.SIGINT)
        process.wait(30)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server outlived `dinoflow serve`"


def test_every_flow_has_a_form_that_explains_its_fields(served):
    api, _ = served
    deployments = api.deployments()
    assert {
        "dinoflow/pipeline",
        "curate/re-curation",
        "pretrain/training",
        "evaluate/evaluation",
        "ablate/ablation",
        "dedup/stage",
    } <= set(deployments)
    form = deployments["dinoflow/pipeline"]["parameter_openapi_schema"]
    assert "Folders or URLs of images" in form["properties"]["sources"]["description"]
    near = form["definitions"]["NearParams"]["properties"]["threshold"]
    assert "smallest cosine" in near["description"]
    assert near["anyOf"][0]["maximum"] == 1.15


def test_the_server_refuses_a_wrong_value_before_a_run_exists(served):
    api, _ = served
    dedup = api.deployments()["dedup/stage"]
    wrong = {"parameters": {"params": {"min_detail": "much"}}}
    with pytest.raises(urllib.error.HTTPError) as refused:
        api.post(f"/deployments/{dedup['id']}/create_flow_run", wrong)
    assert refused.value.code == 409
    assert "min_detail" in refused.value.read().decode()


def test_a_nightly_schedule_waits_to_be_switched_on_and_then_makes_runs(served):
    api, _ = served
    curate = api.deployments()["curate/re-curation"]
    assert [(s["schedule"]["cron"], s["active"]) for s in curate["schedules"]] == [("0 2 * * *", False)]
    schedule = f"/deployments/{curate['id']}/schedules/{curate['schedules'][0]['id']}"
    api.patch(schedule, {"active": True})
    waiting = {
        "deployments": {"id": {"any_": [curate["id"]]}},
        "flow_runs": {"state": {"name": {"any_": ["Scheduled"]}}},
    }
    for _ in range(240):
        if api.post("/flow_runs/filter", waiting):
            break
        time.sleep(0.5)
    else:
        pytest.fail("the scheduler made no run")
    api.patch(schedule, {"active": False})


def test_a_filled_form_curates_and_the_run_page_has_what_a_person_looks_for(served, photos):
    api, home = served
    curate = api.deployments()["curate/re-curation"]
    sets = [{"name": "test", "source": {"kind": "folder", "url": str(photos(3, "test", first=100))}}]
    settings = [f"curation.decontaminate.sets={json.dumps(sets)}", "curation.balance={enabled: true, target: 1}"]
    parameters = {
        "sources": [str(photos(24))],
        "name": "pets",
        "workspace": str(home / "w"),
        "settings": settings,
    }
    run = api.post(
        f"/deployments/{curate['id']}/create_flow_run", {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    )
    done = api.wait(run["id"])
    assert done["state_type"] == "COMPLETED", (home / "log").read_text()[-3000:]
    artifacts = {
        a["key"]: a for a in api.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
    }
    assert {stage.name.replace("_", "-") for stage in STAGES} | {"dataset"} <= set(artifacts)
    page = artifacts["dataset"]["data"]
    assert "24 images indexed → 24 kept" in page
    assert "data:image/jpeg;base64," in page
    assert len(page) < 1_000_000
    children = api.post("/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run["id"]]}}})
    assert {child["name"] for child in children} == {"pets"}
    assert len(children) == len(STAGES)
    assert (home / "w/datasets/pets/v0001/dataset.json").exists()
