import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from shared.dataset_version import Published
from shared.errors import RecipeError, UserError, WorkFailedError
from shared.launch.launch import gang, run_name
from shared.launch.progress import RECORD, ProgressEvent
from shared.params import Compute
from shared.storage import Store
from tests.waiting import ended, started, until

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


class Seen:
    """A reporter that keeps what it is given, in order."""

    def __init__(self) -> None:
        self.all: list[str | ProgressEvent] = []

    def progress(self, event: ProgressEvent) -> None:
        self.all.append(event)

    def line(self, text: str) -> None:
        self.all.append(text)


@pytest.fixture
def launched(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{HERE}")
    monkeypatch.syspath_prepend(str(HERE))
    from gangs import GangParams, act

    workspace = Store(str(tmp_path))
    workspace.write("datasets/pets/v0001/dataset.json", '{"fingerprint": "f"}')
    dataset = Published(workspace.sub("datasets/pets/v0001"), "pets", "v0001")
    seen = Seen()

    def launch(how: str, processes: int = 1, **where):
        return gang(
            act,
            GangParams(how=how),
            dataset,
            run="r",
            workspace=workspace,
            compute=Compute(processes=processes, **where),
            reporter=seen,
        )

    return launch, seen, (act, GangParams, dataset)


def test_a_gang_returns_what_rank_0_returns_and_its_lines_are_told(launched):
    launch, seen, _ = launched
    assert launch("well") == {"how": "well", "world": "1"}
    assert seen.all == ["well on pets"]


@pytest.mark.parametrize("processes", [1, 2])
def test_events_and_lines_of_a_gang_arrive_in_order_and_none_is_taken_for_the_other(launched, tmp_path, processes):
    launch, seen, _ = launched
    launch("eventful", processes)
    first = ProgressEvent("act", 1, 9, "steps", rate=2.0, fields={"loss": 0.5})
    kept = [one for one in seen.all[seen.all.index(first) :] if one != "eventful on pets"]
    assert kept == [first, "step 40 is gone: training has dropped its checkpoint", "left open", replace(first, done=2)]
    log = (tmp_path / "runs/r/act.log").read_text()
    assert "act               1 of 9 steps · 2 steps/s · loss 0.5 · 0:00:04 left\nstep 40 is gone" in log
    assert RECORD not in log


def test_torchrun_starts_as_many_processes_as_asked(launched):
    launch, seen, _ = launched
    assert launch("well", processes=2)["world"] == "2"
    # Two processes write to one stream: their lines may come as one.
    assert "".join(seen.all).count("well on pets") == 2


def test_a_mistake_crosses_the_process_as_a_mistake(launched):
    with pytest.raises(UserError, match="better request"):
        launched[0]("mistaken")


def test_a_crash_is_told_with_the_end_of_the_log(launched):
    with pytest.raises(WorkFailedError, match="boom"):
        launched[0]("crashing")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_gang_whose_process_is_killed_is_started_again(launched, processes):
    launch, seen, _ = launched
    assert launch("lost", processes)["how"] == "lost"
    if processes == 1:
        assert any("act was killed (SIGKILL" in str(line) and "restart 1 of 3" in str(line) for line in seen.all)


def test_a_gang_is_started_again_only_as_often_as_it_may_be(launched):
    with pytest.raises(WorkFailedError, match=r"act failed \(exit code 137\)"):
        launched[0]("lost", max_restarts=0)


@pytest.mark.parametrize(("how", "error"), [("mistaken", UserError), ("failing", WorkFailedError)])
def test_what_another_try_would_not_mend_is_not_tried_again(launched, tmp_path, how, error):
    with pytest.raises(error, match=r"better request|fails whenever it is tried"):
        launched[0](how, processes=2)
    assert sorted((tmp_path / "runs/r/tries").read_text()) in ([*"0"], [*"1"], [*"01"])


def test_a_gang_on_several_machines_needs_a_disk_that_they_share(launched, monkeypatch):
    act, params, dataset = launched[2]
    for name, value in {"PET_NNODES": "2", "PET_NODE_RANK": "0", "PET_MASTER_ADDR": "n0"}.items():
        monkeypatch.setenv(name, value)
    where = {"workspace": Store("memory://ws"), "compute": Compute(launcher="env"), "reporter": Seen()}
    with pytest.raises(RecipeError, match="a disk that all of them mount, got memory://"):
        gang(act, params(), dataset, run="r", **where)


def test_a_run_is_named_by_what_makes_it(launched):
    act, params, dataset = launched[2]
    assert run_name(act, params(), dataset) == run_name(act, params(how="well"), dataset)
    assert run_name(act, params(), dataset) != run_name(act, params(how="else"), dataset)


PARENT = """
import sys
from gangs import GangParams, act
from shared.dataset_version import Published
from shared.launch.launch import gang
from shared.launch.progress import Silent
from shared.params import Compute
from shared.storage import Store
w = Store(sys.argv[1])
d = Published(w.sub("datasets/pets/v0001"), "pets", "v0001")
compute = Compute(processes=int(sys.argv[2]))
gang(act, GangParams(how="endless"), d, run="r", workspace=w, compute=compute, reporter=Silent())
"""


def working(folder: Path) -> list[psutil.Process]:
    """The processes whose command names the folder."""
    return [
        one
        for one in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in one.info["cmdline"] or ())
    ]


def test_ranks_that_are_starting_do_not_outlive_a_killed_group(launched, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, script, tmp_path, 2]
    with started(command, stdout=subprocess.DEVNULL, start_new_session=True) as parent:
        until(lambda: parent.poll() is not None or len(working(tmp_path)) > 3, "no rank was started")
        os.killpg(parent.pid, signal.SIGKILL)
    until(lambda: not working(tmp_path), "processes of a killed command live on", seconds=40)


@pytest.mark.parametrize("processes", [1, 2])
def test_no_rank_outlives_a_killed_parent(launched, tmp_path, processes):
    script, written = tmp_path / "parent.py", tmp_path / "runs/r/pid"
    script.write_text(PARENT)
    with started([sys.executable, script, tmp_path, processes], stdout=subprocess.DEVNULL) as parent:
        until(lambda: parent.poll() is not None or (written.exists() and written.read_text()))
        assert parent.poll() is None
    until(lambda: ended(written.read_text()), seconds=30)
