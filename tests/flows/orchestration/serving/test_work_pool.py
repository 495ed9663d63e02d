"""`dinoflow deploy FILE` for a work pool, on a real server, with Prefect's own process worker."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.orchestration.serving.server import server
from tests.conftest import draw_classes
from tests.flows.orchestration.serving.test_serve import DEPLOYED, FILE, ROOT, TINY
from tests.ports import free_port
from tests.prefect_api import Api
from tests.prefect_home import furnished
from tests.waiting import started

PREFECT = Path(sys.executable).with_name("prefect")


@pytest.mark.slow
def test_a_worker_of_the_pool_runs_what_was_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_classes(tmp_path / "photos", 12)
    (tmp_path / "tiny.yaml").write_text(TINY.replace("PHOTOS", str(tmp_path / "photos")))
    (tmp_path / "dinoflow.yaml").write_text(f"pool: dinoflow\n{FILE}")
    monkeypatch.setenv("PREFECT_HOME", str(furnished(tmp_path / "prefect")))
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "1")
    port, log = free_port(), (tmp_path / "log").open("w")
    with server("127.0.0.1", port) as url:
        api = Api(port)
        environment = os.environ | {"PREFECT_API_URL": url, "PYTHONPATH": str(ROOT)}

        def run(*words: Any) -> str:
            done = subprocess.run(
                [str(word) for word in words],
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        run(PREFECT, "work-pool", "create", "dinoflow", "--type", "process")
        said = run(sys.executable, "-m", "flows.cli", "deploy", tmp_path / "dinoflow.yaml")
        assert "Next: prefect worker start --pool dinoflow" in said
        deployments = api.deployments()
        assert len(deployments) == DEPLOYED
        assert {one["work_pool_name"] for one in deployments.values()} == {"dinoflow"}
        assert len(api.post("/automations/filter")) == 2
        assert run(sys.executable, "-m", "flows.cli", "deploy", tmp_path / "dinoflow.yaml") == said, "again, no change"
        started_run = api.post(
            f"/deployments/{deployments['curate/curate pets']['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}}
        )
        worker = [PREFECT, "worker", "start", "--pool", "dinoflow", "--name", "here"]
        with started(worker, env=environment, cwd=ROOT, stdout=log, stderr=log):
            done = api.wait(started_run["id"])
        assert done["state_type"] == "COMPLETED", (tmp_path / "log").read_text()[-4000:]
        assert (tmp_path / "w/datasets/pets/v0001/dataset.json").exists()
