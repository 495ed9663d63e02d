import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from shared.errors import StoppedError, WorkFailedError
from shared.launch.child_processes import WorkerDiedError, Workers
from shared.launch.executors import Processes
from tests.waiting import ended, started, until


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


def threads_of_algebra(_: int) -> list[int]:
    import faiss
    import numpy  # noqa: F401

    assert faiss.omp_get_max_threads() == 1
    return [pool["num_threads"] for pool in threadpool_info()]


def die_while_sending(marker: str) -> bytes:
    """Return something large, of which half goes through the pipe before the process is killed."""
    if not Path(marker).exists():
        Path(marker).touch()

        def half(pipe: Connection, data: bytes) -> None:
            os.write(pipe.fileno(), data[: len(data) if len(data) < 1000 else len(data) // 2])
            if len(data) >= 1000:
                os.kill(os.getpid(), signal.SIGKILL)

        Connection._send = half  # type: ignore[attr-defined]
    return bytes(100_000)


class AwkwardError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def fail(how: str) -> None:
    errors = {"awkward": AwkwardError(1, 2), "plain": ValueError("needs a better picture"), "end": EOFError("no more")}
    raise errors[how]


@pytest.fixture
def workers():
    made = Workers([{}, {}])
    yield made
    made.close()


def test_items_run_in_other_processes(workers):
    assert os.getpid() not in set(Processes(workers).map(own_id, range(4), "id"))


def test_linear_algebra_keeps_to_the_core_of_its_worker():
    greedy = Workers([{"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}])
    try:
        threads = greedy.call(threads_of_algebra, 0)
    finally:
        greedy.close()
    assert threads
    assert set(threads) == {1}


def test_all_items_come_back(workers):
    assert sorted(Processes(workers).map(square, range(20), "square")) == [n * n for n in range(20)]


def test_a_killed_worker_costs_one_try(workers, tmp_path):
    markers = [str(tmp_path / f"{i}") for i in range(3)]
    assert list(Processes(workers).map(die_once, markers, "die")) == ["alive"] * 3


def test_work_that_kills_every_worker_is_an_error_and_not_a_hang(workers):
    with pytest.raises(WorkerDiedError, match="killed from outside"):
        list(Processes(workers).map(die, [1], "die"))
    assert list(Processes(workers).map(square, [3], "square")) == [9]


def test_a_worker_killed_with_its_result_half_sent_costs_one_try_and_is_no_hang(workers, tmp_path):
    (sent,) = Processes(workers).map(die_while_sending, [str(tmp_path / "marker")], "die")
    assert sent == bytes(100_000)


def test_an_error_comes_back_as_it_was_raised_with_where_it_was_raised(workers):
    with pytest.raises(ValueError, match="a better picture") as caught:
        workers.call(fail, "plain")
    assert "in fail" in "".join(caught.value.__notes__)
    with pytest.raises(EOFError, match="no more"):
        workers.call(fail, "end")
    with pytest.raises(WorkFailedError, match="AwkwardError: 1 and 2"):
        workers.call(fail, "awkward")
    assert workers.call(square, 3) == 9


def test_whoever_is_interrupted_while_waiting_leaves_no_answer_for_the_next(monkeypatch):
    one = Workers([{}])
    assert one.call(square, 2) == 4

    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("multiprocessing.connection.Connection.recv", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.call(square, 3)
    assert one.call(square, 4) == 16
    one.close()


def test_closed_workers_do_nothing_more(workers):
    workers.close()
    with pytest.raises(StoppedError, match="stopped on request"):
        workers.call(square, 2)


ORPHANS = """
import os, sys, time
from shared.launch.child_processes import Workers
def report(path):
    open(path, "w").write(str(os.getpid())); time.sleep(60)
if __name__ == "__main__":
    Workers([{}]).call(report, sys.argv[1])
"""


def test_workers_die_with_their_parent(tmp_path):
    script, written = tmp_path / "parent.py", tmp_path / "child"
    script.write_text(ORPHANS)
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    with started([sys.executable, script, written], env=environment):
        until(lambda: written.exists() and written.read_text())
    until(lambda: ended(written.read_text()), seconds=10)
