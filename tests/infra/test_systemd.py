"""The units for real: systemd takes them, and by their examples of settings the worker logs in to the server."""

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.orchestration.pages.report_links import SERVED
from flows.orchestration.serving.server_settings import RETENTION_DAYS, SETTINGS
from tests.infra.test_compose import OTHERWISE, SERVICES
from tests.parsed import ROOT
from tests.ports import free_port
from tests.prefect_api import Api
from tests.prefect_home import furnished
from tests.waiting import LIMIT_SECONDS, started, until

FOLDER = ROOT / "infra/systemd"
PROGRAMS = "/srv/dinoflow/.venv/bin"
PASSWORD = "dinoflow:a-long-password"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_takes_the_units(tmp_path):
    for unit in FOLDER.glob("*.service"):
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAMS, str(Path(sys.executable).parent)))
    checked = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.glob("*.service"))], capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def settings(name: str, optional: bool = False) -> dict[str, str]:
    """The lines of an example of settings; the optional ones stand behind a #."""
    text = (FOLDER / f"{name}.env.example").read_text()
    pattern = r"^#([A-Z_]+)=(\S*)$" if optional else r"^([A-Z_]+)=(\S*)$"
    return dict(re.findall(pattern, text, re.MULTILINE))


def command(unit: str, port: int) -> list[str]:
    """What a unit starts, by this Python and on a port of the test's."""
    line = re.search(r"^ExecStart=(.+)$", (FOLDER / unit).read_text(), re.MULTILINE)
    assert line
    return shlex.split(line[1].replace(PROGRAMS, str(Path(sys.executable).parent)).replace("4200", str(port)))


def environment(name: str, home: Path, port: int) -> dict[str, str]:
    """The settings of a unit's example, filled in."""
    values = {key: value.replace("4200", str(port)) for key, value in settings(name).items()}
    values = {key: PASSWORD if "CHANGE-ME" in value else value for key, value in values.items()}
    plain = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return plain | values | {"PREFECT_HOME": str(furnished(home)), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The server as its unit starts it."""
    home, port = tmp_path_factory.mktemp("server"), free_port()
    log = (home / "log").open("w")
    running: dict[str, Any] = {"env": environment("server", home, port), "cwd": ROOT, "stdout": log, "stderr": log}
    running["env"] |= {"PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "1"}
    with started(command("prefect-server.service", port), **running) as process:

        def answers() -> bool:
            assert process.poll() is None, (home / "log").read_text()
            try:
                return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=10).read())
            except OSError:
                return False

        until(answers, "the server answers")
        yield port, home


def asked(server: tuple[int, Path], path: str, body: Any = None, password: str = PASSWORD) -> Any:
    """The server's answer to a request; it is busy now and then while it tidies up every second."""
    api = Api(server[0], password)
    return api.get(path) if body is None else api.post(path, body)


def test_the_worker_logs_in_with_its_settings_and_nobody_does_with_another_password(server, tmp_path):
    words = [*command("prefect-worker.service", server[0]), "--run-once"]
    settings_of_worker = environment("worker", tmp_path, server[0])
    entered = subprocess.run(words, env=settings_of_worker, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert entered.returncode == 0, entered.stderr
    assert [pool["name"] for pool in asked(server, "/work_pools/filter", {})] == ["dinoflow"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        asked(server, "/work_pools/filter", {}, "dinoflow:guessed")


def test_a_server_takes_in_what_our_flows_need_whoever_starts_it(server):
    in_effect = asked(server, "/admin/settings")["server"]
    assert in_effect["services"]["task_run_recorder"]["batch_size"] == 500
    assert in_effect["services"]["event_persister"]["read_batch_size"] == 200
    assert in_effect["analytics_enabled"] is False


def test_history_goes_after_its_time_and_not_before(server):
    """Of two runs that have ended, one is made older than history is kept, the other a day younger."""
    flow = asked(server, "/flows/", {"name": "aged"})["id"]
    ended = {"flow_id": flow, "state": {"type": "COMPLETED"}}
    old, young = (asked(server, "/flow_runs/", ended)["id"] for _ in range(2))
    with closing(sqlite3.connect(server[1] / "prefect.db", timeout=60)) as database, database:
        for run, days in ((old, RETENTION_DAYS + 1), (young, RETENTION_DAYS - 1)):
            aged = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.%f")
            changed = database.execute("update flow_run set end_time = ? where id = ?", (aged, run))
            assert changed.rowcount == 1
    until(lambda: len(asked(server, "/flow_runs/filter", {})) < 2, "the old run is deleted")
    assert [run["id"] for run in asked(server, "/flow_runs/filter", {})] == [young]


def test_every_setting_is_one_that_prefect_knows_and_none_is_said_twice():
    from prefect.settings import Settings
    from prefect_redis.client import RedisMessagingSettings

    known = {*Settings().to_environment_variables(), "DO_NOT_TRACK", "PREFECT_API_AUTH_STRING"}
    known |= {f"PREFECT_REDIS_MESSAGING_{field.upper()}" for field in RedisMessagingSettings.model_fields}
    optional = settings("server", optional=True)
    containers: dict[str, str] = SERVICES["prefect-server"]["environment"]
    used = {**SETTINGS, **settings("server"), **settings("worker"), **optional, **containers}
    assert not used.keys() - known - {"PREFECT_API_URL", "PREFECT_SERVER_API_AUTH_STRING", SERVED}
    said = settings("server") | optional | containers
    assert not SETTINGS.items() & said.items()
    assert SETTINGS.keys() & said.keys() == OTHERWISE
    assert {*settings("server"), *optional} == set(containers)
