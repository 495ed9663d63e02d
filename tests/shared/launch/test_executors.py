import os
import signal
import sys
from pathlib import Path

import pytest

from shared.launch.executors import Processes, WorkerDiedError, Workers
from tests.waiting import gone, started, until


def square(number: int) -> int:
    return number * number


def die_once(marker: str) -> str:
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def own_id(_: int) -> int:
    return os.getpid()


@pytest.fixture
def workers():
    made = Workers(2)
    yield made
    made.close()


def test_items_run_in_other_processes(workers):
    assert os.getpid() not in set(Processes(workers).map(own_id, range(4), "id"))


def test_all_items_come_back(workers):
    assert sorted(Processes(workers).map(square, range(20), "square")) == [n * n for n in range(20)]


def test_a_killed_worker_costs_one_try(workers, tmp_path):
    markers = [str(tmp_path / f"{i}") for i in range(3)]
    assert list(Processes(workers).map(die_once, markers, "die")) == ["alive"] * 3


def test_work_that_kills_every_worker_is_an_error_and_not_a_hang(workers):
    with pytest.raises(WorkerDiedError, match="killed from outside"):
        list(Processes(workers).map(die, [1], "die"))
    assert list(Processes(workers).map(square, [3], "square")) == [9]


ORPHANS = """
import os, sys, time
from shared.launch.executors import Workers
def report(path):
    open(path, "w").write(str(os.getpid())); time.sleep(60)
if __name__ == "__main__":
    Workers(1).call(report, sys.argv[1])
"""


def test_workers_die_with_their_parent(tmp_path):
    script, written = tmp_path / "parent.py", tmp_path / "child"
    script.write_text(ORPHANS)
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    with started([sys.executable, script, written], env=environment):
        until(lambda: written.exists() and written.read_text())
    until(lambda: gone(written.read_text()), seconds=10)
