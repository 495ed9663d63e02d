import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from shared.launch.stop_signals import REQUEUE, TOGETHER_SECONDS
from shared.launch.supervisor import GRACE_SECONDS
from tests.waiting import ended, started, until

ROOT = Path(__file__).parents[3]

FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1] + "/asked", "w").close(), sys.exit(0)))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], start_new_session=True)
open(sys.argv[1] + "/child", "w").write(str(child.pid))
open(sys.argv[1] + "/ready", "w").close()
time.sleep(100)
"""


@pytest.fixture
def family(tmp_path):
    script = tmp_path / "family.py"
    script.write_text(FAMILY)
    command = [sys.executable, "-m", "shared.launch.supervisor", sys.executable, str(script), str(tmp_path)]
    with started(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
        until((tmp_path / "ready").exists)
        yield process, int((tmp_path / "child").read_text())


@pytest.mark.parametrize("how", ["asked", "abandoned"])
def test_nothing_is_left_behind(family, tmp_path, how):
    process, grandchild = family
    if how == "asked":
        process.send_signal(signal.SIGTERM)
    else:
        process.stdin.close()
    assert process.wait(20) == REQUEUE
    assert (tmp_path / "asked").exists(), "the command was not asked to stop first"
    until(lambda: ended(grandchild), seconds=5)  # though it has a session of its own


STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: open(sys.argv[1] + "/asked", "w").close())
open(sys.argv[1] + "/ready", "w").close()
time.sleep(1000)
"""


def test_a_second_request_ends_at_once_what_the_first_one_only_asked(tmp_path):
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    command = [sys.executable, "-m", "shared.launch.supervisor", sys.executable, str(script), str(tmp_path)]
    with started(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
        until((tmp_path / "ready").exists)
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGTERM)
        until((tmp_path / "asked").exists)
        assert process.poll() is None, "signals that come together are one request"
        time.sleep(TOGETHER_SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(GRACE_SECONDS / 2) == REQUEUE


def test_what_a_killed_supervisor_started_dies_with_it(family, tmp_path):
    process, _ = family
    (child,) = psutil.Process(process.pid).children()
    process.kill()
    until(lambda: ended(child.pid), seconds=10)


def test_the_exit_code_is_the_commands():
    command = [sys.executable, "-m", "shared.launch.supervisor", sys.executable, "-c", "raise SystemExit(7)"]
    with started(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
        assert process.wait(20) == 7
