"""A command without a server gets one: what it did is on the pages later, and no server outlives it."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from flows.orchestration.serving.temporary_server import temporary_server
from shared.errors import UserError
from shared.params import Compute
from tests.prefect_home import furnished
from tests.waiting import LIMIT_SECONDS, ended, started, until

ROOT = Path(__file__).parents[4]
COMMAND = "import sys; from flows.cli import main; main(); print('prefect.server.api.server' in sys.modules)"


def environment(home: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return own | {"PREFECT_HOME": str(furnished(home)), "PYTHONPATH": str(ROOT)}


def test_every_task_run_is_on_the_pages_later_and_the_server_was_never_imported_here(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    words = ["curate", "--source", photos(40), "--workspace", tmp_path / "w"]
    words += ["--set", "curation.index.part_images=16", "--set", "curation.dedup.near.enabled=false"]
    command = [sys.executable, "-c", COMMAND, *map(str, words)]
    done = subprocess.run(
        command, env=environment(tmp_path / "home"), capture_output=True, text=True, timeout=2 * LIMIT_SECONDS
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "False"
    with closing(sqlite3.connect(tmp_path / "home/prefect.db")) as database:
        names = [name for (name,) in database.execute("select name from task_run where name like 'measure % of %'")]
        states = database.execute("select distinct state_type from flow_run union select state_type from task_run")
        assert [state for (state,) in states] == ["COMPLETED"]
    assert len(names) > 1
    assert set(names) == {f"measure {number} of {len(names)}" for number in range(1, len(names) + 1)}


def test_the_server_of_a_killed_command_ends_with_it(photos: Callable[..., Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.cli", "curate", "--source", photos(1), "--workspace", tmp_path / "w"]
    settings = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment(tmp_path / "home")}
    with started(command, **settings) as process:
        running = psutil.Process(process.pid)
        until(lambda: process.poll() is not None or running.children(), "a server of the command")
        [server] = running.children()
        process.send_signal(signal.SIGKILL)
        until(lambda: ended(server.pid), "the end of the server")


def test_a_cluster_elsewhere_needs_a_server_that_it_reaches() -> None:
    with pytest.raises(UserError, match=r"workers at tcp://10\.0\.0\.7:8786 need a Prefect server that they reach"):
        temporary_server(Compute(runner="dask", address="tcp://10.0.0.7:8786"))
