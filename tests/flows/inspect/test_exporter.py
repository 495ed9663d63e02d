"""Prometheus, the real one where it is installed, finds in a workspace what its files say; so does the dashboard."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import encoded, picture
from prometheus_client.parser import text_string_to_metric_families

from flows.inspect.exporter import OF_A_STEP, STATES, QueueCollector
from tests.publishers import publish
from tests.waiting import started, until

INFRA = Path(__file__).parents[3] / "infra" / "monitoring"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scraped")
    (root / "photos").mkdir()
    for i in range(20):
        (root / "photos" / f"{i:03}.jpg").write_bytes(encoded(picture(i % 18, (60, 40))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curation.sources.listing._ends_a_part", lambda *_: True)  # else the folder's name decides
        publish(root / "photos", root / "w", index={"part_images": 20})
    run = root / "w/runs/abc"
    run.mkdir(parents=True)
    lines = [{"step": step, "loss": 8 / step, "loss_ibot": 1.5, "mfu": None, "knn_top1": 0.25} for step in (1, 2)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3, "lo')
    return root / "w"


@pytest.fixture(scope="module")
def page(workspace: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "flows.cli", "metrics", workspace, "--port", "0"]
    with started(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        address = re.search(r"http://\S+/metrics", line)
        assert address, line
        yield address[0]


def values(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_says_what_the_files_say(page: str) -> None:
    found = values(httpx.get(page, trust_env=False).text)
    assert found["dinoflow_dataset_images", "pets", "kept"] == 18
    assert found["dinoflow_dataset_dropped_images", "pets", "exact_duplicate"] == 2
    assert found["dinoflow_dataset_version", "pets"] == 1
    assert found["dinoflow_stage_parts", "measure"] == 2
    assert found["dinoflow_training_step", "abc"] == 2
    assert found["dinoflow_training_loss", "abc"] == 4
    assert found["dinoflow_training_loss_part", "ibot", "abc"] == 1.5
    assert ("dinoflow_training_mfu", "abc") not in found


def test_the_dashboard_asks_for_nothing_that_is_not_given() -> None:
    board = (INFRA / "grafana-dashboard.json").read_text()
    asked = set(re.findall(r"dinoflow_(\w+)", " ".join(re.findall(r'"expr": "([^"]*)"', board))))
    given = {f"training_{name}" for name in OF_A_STEP} | {"training_loss_part", "stage_parts", "flow_runs"}
    assert asked <= given | {"dataset_images", "dataset_dropped_images", "dataset_version"}
    assert len(json.loads(board)["panels"]) == 12


def test_flow_runs_are_counted_by_state_and_a_server_that_is_away_is_said() -> None:
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["flow_runs"]["state"]["type"]["any_"])
        return httpx.Response(200, json=len(asked))

    queue = QueueCollector("http://127.0.0.1:1/api", "dinoflow:x")
    (runs, up) = queue.collect()
    assert (runs.samples, up.samples[0].value) == ([], 0)
    queue.client = httpx.Client(base_url="http://there/api", transport=httpx.MockTransport(answer))
    (runs, up) = queue.collect()
    assert [sample.labels["state"] for sample in runs.samples] == [state.lower() for state in STATES]
    assert up.samples[0].value == 1


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus (Debian's package)")
def test_prometheus_scrapes_it_and_answers_the_dashboards_questions(page: str, tmp_path: Path) -> None:
    config = (INFRA / "prometheus.yml").read_text()
    there = httpx.URL(page)
    config = config.replace("127.0.0.1:9108", f"{there.host}:{there.port}").replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(config)
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with started(
        [*command, "--web.listen-address=127.0.0.1:0"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr
        listening = next(line for line in process.stderr if "address=127.0.0.1:" in line and "Listening" in line)
        port = re.search(r"address=127.0.0.1:(\d+)", listening)
        assert port
        ask = f"http://127.0.0.1:{port[1]}/api/v1/query"

        def kept() -> list[Any]:
            query = {"query": 'dinoflow_dataset_images{decision="kept"}'}
            result: list[Any] = httpx.get(ask, params=query, trust_env=False).json()["data"]["result"]
            return result

        until(lambda: kept() and kept()[0]["value"][1] == "18", "Prometheus has scraped the workspace")
