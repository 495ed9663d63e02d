"""Prefect for real: a server on loopback, a file of deployments, forms filled over HTTP, the pages' contents."""

import os
import re
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from curation.stages import STAGES
from tests.conftest import draw_classes
from tests.ports import free_port
from tests.prefect_api import Api
from tests.prefect_home import furnished
from tests.waiting import LIMIT_SECONDS, ended, started, until

ROOT = Path(__file__).parents[4]


def heeds_ctrl_c():
    """Undo what a shell does to commands in the background: they, and all that they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


TINY = """
name: pets
sources: [{kind: folder, url: PHOTOS}]
curation: {balance: {enabled: true, target: 1}}
training:
  model: {patch_size: 8, width: 32, depth: 1, heads: 2}
  crops: {global_size: 32, local_size: 16, local_count: 2, shrink: 40}
  objective: {prototypes: 16, head_hidden: 16, bottleneck: 8, koleo_group: 4}
  optim: {steps: 100000, batch_size: 8, warmup_steps: 1, precision: fp32, freeze_prototypes: 1}
  checkpoint_every: 100000
  knn_every: 0
compute: {workers: 1, processes: 1}
"""
FILE = """
workspace: w
deployments:
- {name: curate pets, does: curate, recipe: tiny.yaml, cron: "0 2 * * *", timezone: Europe/Berlin, active: false}
- {name: train on pets, does: pretrain, recipe: tiny.yaml, after_publish: true}
- {name: pipeline, does: run}
- {name: tidy up, does: gc, hours: 1}
"""
DEPLOYED = len(STAGES) + 4
DONE = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Served:
    """`dinoflow serve FILE` in a home of its own, which can be stopped and started again."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.api = Api(self.port)
        self.exits = ExitStack()

    def start(self) -> None:
        settings = {
            "PREFECT_HOME": str(self.home),
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
            "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "2",
            "PYTHONPATH": str(ROOT),
        }
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | settings
        command = [sys.executable, "-m", "flows.cli", "serve", self.home / "dinoflow.yaml", "--port", self.port]
        log = self.exits.enter_context((self.home / "log").open("a"))
        told = {"cwd": ROOT, "env": environment, "stdout": log, "stderr": log, "preexec_fn": heeds_ctrl_c}
        self.process = self.exits.enter_context(started(command, **told))
        until(self.works, "the worker is ready", seconds=300)

    def works(self) -> bool:
        """Tell whether all is registered: the automations come last."""
        assert self.process.poll() is None, self.log()
        try:
            return len(self.api.post("/automations/filter")) == 2 and len(self.api.deployments()) == DEPLOYED
        except OSError:
            return False

    def stop(self, how: int) -> None:
        """Stop it by a signal, and wait until its port is free again."""
        self.process.send_signal(how)
        self.process.wait(LIMIT_SECONDS)
        until(lambda: not self.listens(), "the server ends with `dinoflow serve`")

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self) -> str:
        return (self.home / "log").read_text()[-4000:]

    def trigger(self, deployment: str, **parameters: Any) -> str:
        """Fill a form and press the button; return the id of the run."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        made = self.api.post(f"/deployments/{self.api.deployments()[deployment]['id']}/create_flow_run", body)
        return str(made["id"])

    def run_of(self, deployment: str) -> Any:
        """The latest run of a deployment that its worker has taken; None while there is none."""
        of_it = {"id": {"any_": [self.api.deployments()[deployment]["id"]]}}
        begun = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}
        runs = self.api.post("/flow_runs/filter", {"deployments": of_it, "flow_runs": begun, "sort": "START_TIME_DESC"})
        return runs[0] if runs else None

    def planned(self) -> set[str]:
        scheduled = {"flow_runs": {"state": {"name": {"any_": ["Scheduled"]}}}}
        return {run["id"] for run in self.api.post("/flow_runs/filter", scheduled)}

    def children(self, run: str) -> list[Any]:
        filtered = {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}
        return list(self.api.post("/flow_runs/filter", filtered))

    def slots(self) -> dict[str, int]:
        limits = self.api.post("/v2/concurrency_limits/filter")
        return {limit["name"].partition(" of ")[0]: limit["active_slots"] for limit in limits}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("prefect")
    draw_classes(home / "photos", 24)
    (home / "tiny.yaml").write_text(TINY.replace("PHOTOS", str(home / "photos")))
    (home / "dinoflow.yaml").write_text(FILE)
    one = Served(furnished(home))
    with one.exits:
        one.start()
        yield one


def test_every_flow_has_a_form_that_explains_its_fields_and_holds_no_value_of_the_code(served: Served) -> None:
    deployments = served.api.deployments()
    assert {"dinoflow/pipeline", "curate/curate pets", "pretrain/train on pets"} <= set(deployments)
    assert any(name.startswith("dedup/stage 09") for name in deployments)
    form = deployments["dinoflow/pipeline"]["parameter_openapi_schema"]
    assert "Folders or URLs of images" in form["properties"]["sources"]["description"]
    assert "compute" in form["properties"]
    near = form["definitions"]["NearParamsChanges"]["properties"]
    assert "smallest cosine" in near["threshold"]["description"]
    assert near["threshold"]["anyOf"][0]["maximum"] == 1.15
    assert len(near["embedder"]["oneOf"]) > 3
    assert "default" not in form["definitions"]["OptimParamsChanges"]["properties"]["steps"]
    titles = {one["title"] for one in form["definitions"].values()}
    assert {"Timm", "Efficientnet-lite0", "Too small"} <= titles


@pytest.mark.parametrize(
    ("deployment", "wrong", "named"),
    [
        ("dedup/stage 09 · dedup", {"params": {"perceptual": {"distance": "much"}}}, "distance"),
        ("curate/curate pets", {"curation": {"index": {"sources": [{"kind": "folder", "url": "/b"}]}}}, "sources"),
    ],
)
def test_the_server_refuses_a_wrong_value_before_a_run_exists(
    served: Served, deployment: str, wrong: Any, named: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        served.trigger(deployment, **wrong)
    assert refused.value.code == 409
    assert named in refused.value.read().decode()


def test_a_filled_form_curates_and_the_version_it_publishes_starts_its_training(served: Served, photos: Any) -> None:
    sets = [{"name": "test", "source": {"kind": "folder", "url": str(photos(3, "test", first=100))}}]
    run = served.trigger("curate/curate pets", curation={"decontaminate": {"sets": sets}})
    done = served.api.wait(run)
    assert done["state_type"] == "COMPLETED", served.log()
    found = served.api.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    artifacts = {one["key"]: one for one in found}
    assert {stage.name.replace("_", "-") for stage in STAGES} | {"dataset"} <= set(artifacts)
    page = artifacts["dataset"]["data"]
    assert "24 images indexed → 24 kept" in page
    assert "data:image/jpeg;base64," in page
    assert len(page) < 1_000_000
    link = re.search(r"\[Open the report\]\((/reports/[^)]+)\)", page)
    assert link, page[-500:]
    report = urllib.request.urlopen(served.api.url.removesuffix("/api") + link[1], timeout=20).read()
    assert report == (served.home / "w/datasets/pets/v0001/report.html").read_bytes()
    assert {child["name"] for child in served.children(run)} == {"pets"}
    assert len(served.children(run)) == len(STAGES)
    of_stages = {"flow_runs": {"id": {"any_": [child["id"] for child in served.children(run)]}}}

    def parts() -> set[str]:
        return {part["state_type"] for part in served.api.post("/task_runs/filter", of_stages)}

    until(lambda: parts() == {"COMPLETED"}, "every task run is told of, though the flow's process has ended")
    until(lambda: served.run_of("pretrain/train on pets"), "publishing starts the training")
    assert served.run_of("pretrain/train on pets")["parameters"]["version"] == "v0001"
    assert served.slots()["curation"] == 0


def test_a_restart_keeps_what_the_pages_changed_and_leaves_no_training_running(served: Served) -> None:
    """SIGTERM, as systemd and Docker send it, while a model is trained."""
    curate = served.api.deployments()["curate/curate pets"]
    [schedule] = curate["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("0 2 * * *", "Europe/Berlin")
    assert not schedule["active"]
    edited = {"cron": "30 3 * * *", "timezone": "Asia/Tokyo"}
    served.api.patch(f"/deployments/{curate['id']}", {"parameters": curate["parameters"] | {"name": "cats"}})
    served.api.patch(f"/deployments/{curate['id']}/schedules/{schedule['id']}", {"schedule": edited, "active": True})
    before = served.planned()
    until(lambda: served.planned() - before, "the schedule plans runs")
    metrics = "w/runs/*/metrics.jsonl"
    until(lambda: any(path.stat().st_size for path in served.home.glob(metrics)), "the training takes steps")
    training, planned = served.run_of("pretrain/train on pets")["id"], served.planned()
    of_training = {"artifacts": {"flow_run_id": {"any_": [training]}, "key": {"any_": ["training"]}}}
    until(lambda: served.api.post("/artifacts/filter", of_training), "the page of the training appears")
    [page] = served.api.post("/artifacts/filter", of_training)
    assert "of 100,000** · " in page["data"]
    assert "![Loss](data:image/svg+xml;base64," in page["data"]

    served.stop(signal.SIGTERM)
    assert list(served.home.glob("w/runs/*/checkpoints/step-*")), served.log()
    served.start()

    assert served.api.get(f"/flow_runs/{training}")["state_type"] in ("CANCELLED", "CRASHED")
    assert served.slots() == {"curation": 0, "training": 0}
    again = served.api.deployments()["curate/curate pets"]
    [schedule] = again["schedules"]
    assert {key: schedule["schedule"][key] for key in edited} == edited
    assert schedule["active"]
    assert again["parameters"]["name"] == "cats"
    assert planned <= served.planned()


def test_curating_again_says_nothing_new_where_people_look_and_trains_nothing(served: Served) -> None:
    done = served.api.wait(served.trigger("curate/curate pets", name="pets"))
    assert done["state_name"] == "Nothing new", served.log()
    found = served.api.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [done["id"]]}}})
    [page] = [one for one in found if one["key"] == "dataset"]
    assert page["description"].startswith("nothing new")
    assert [path.name for path in (served.home / "w/datasets/pets").glob("v*")] == ["v0001"]


def test_tidying_up_deletes_what_no_version_needs_and_tells_how_much(served: Served) -> None:
    """A file of the cache that no version needs, written two hours ago, beside those that the version needs."""
    unused = served.home / "w/stages/quality/unused.parquet"
    unused.write_bytes(b"x" * 1000)
    os.utime(unused, (time.time() - 7200,) * 2)
    kept = {path for path in served.home.glob("w/stages/**/*") if path.is_file()} - {unused}

    done = served.api.wait(served.trigger("gc/tidy up", delete=True))
    assert done["state_name"] == "Completed", served.log()
    of_it = {"artifacts": {"flow_run_id": {"any_": [done["id"]]}}}
    until(lambda: served.api.post("/artifacts/filter", of_it), "the page of what was deleted appears")
    [page] = served.api.post("/artifacts/filter", of_it)
    assert page["description"] == "1,000 bytes in 1 files deleted"
    assert {path for path in served.home.glob("w/stages/**/*") if path.is_file()} == kept


@pytest.mark.slow
def test_a_cancelled_curation_ends_with_its_subflow_and_a_killed_server_leaves_nothing(served: Served) -> None:
    """A picture that never arrives keeps the stage at work: it is a named pipe that nobody writes to."""
    os.mkfifo(served.home / "never.jpg")
    (served.home / "list.txt").write_text(str(served.home / "never.jpg"))
    endless = f'sources=[{{"kind": "list", "url": "{served.home / "list.txt"}"}}]'

    def measuring() -> str:
        run = served.trigger("curate/curate pets", name="endless", settings=[endless])
        until(lambda: any("measure" in one["name"] for one in self_of(run)), "it measures")
        return run

    def self_of(run: str) -> list[Any]:
        ids = [child["id"] for child in served.children(run)]
        found = served.api.post("/task_runs/filter", {"flow_runs": {"id": {"any_": ids}}}) if ids else []
        return [one for one in found if one["state_type"] == "RUNNING"]

    run = measuring()
    served.api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    assert served.api.wait(run)["state_type"] == "CANCELLED"
    assert f"Execution of flow run '{run}' was terminated." in served.log(), "it ends by itself, and is not killed"
    until(lambda: all(child["state_type"] in DONE for child in served.children(run)), "the subflow ends with it")
    left = psutil.Process(served.process.pid).children(recursive=True)
    assert not [one for one in left if "PREFECT__FLOW_RUN_ID" in one.environ()]

    measuring()
    family = psutil.Process(served.process.pid).children(recursive=True)
    served.stop(signal.SIGKILL)
    until(lambda: all(ended(one.pid) for one in family), "the server, the flow and its processes end")
