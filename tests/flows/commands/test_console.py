"""The terminal in a pipe, on a real pseudo-terminal, and where it is to be quiet."""

import io
import os
import pty
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from flows.commands import console as console_module
from flows.commands.console import Console
from shared.launch.progress import Meter, ProgressEvent
from tests.waiting import started

ROOT = Path(__file__).parents[3]


def step(done: int, total: int = 100, **more: object) -> ProgressEvent:
    return ProgressEvent("measure", done, total, rate=20.0, **more)  # type: ignore[arg-type]


def test_a_pipe_gets_a_line_every_ten_seconds_and_the_last_of_each_piece_of_work(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(console_module.time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    console = Console(stream)
    for done in range(0, 100, 10):
        console.progress(step(done))
        clock[0] += 4
    console.progress(step(100, ended=True, seconds=40.0))
    lines = stream.getvalue().splitlines()
    assert [re.search(r"\d+", line).group() for line in lines] == ["10", "40", "70", "100"]
    assert lines[1] == "measure          40 of 100 images · 20 images/s · 0:00:03 left"
    assert lines[-1] == "measure         100 images · 20 images/s · 40.0 s"
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_every_line_stays_however_it_begins():
    stream = io.StringIO()
    lines = ["model         vit-s", "step 40 is gone: training has dropped its checkpoint", "step 2/9", "alarm: rank"]
    console = Console(stream)
    for line in lines:
        console.line(line)
    assert stream.getvalue().splitlines() == lines


def test_a_quiet_console_shows_what_stays_and_no_progress():
    stream = io.StringIO()
    console = Console(stream, quiet=True)
    console.progress(step(50))
    console.line("alarm: rank")
    console.progress(step(100, ended=True))
    assert stream.getvalue() == "alarm: rank\n"


def test_what_was_made_before_is_called_so():
    stream = io.StringIO()
    Console(stream).progress(ProgressEvent("quality", 7, 7, ended=True))
    assert stream.getvalue() == "quality           7 images · made before\n"


def test_a_meter_tells_rate_and_time_left_of_what_is_new_alone(monkeypatch):
    clock, events = [0.0], []
    monkeypatch.setattr("shared.launch.progress.time.monotonic", lambda: clock[0])
    meter = Meter("measure", 100, events.append, done=40)
    clock[0] = 5.0
    meter.add(10)
    meter.end()
    assert [(event.done, event.rate, event.ended) for event in events] == [
        (40, None, False),
        (50, 2.0, False),
        (100, 12.0, True),
    ]
    assert events[1].eta_seconds == 25.0


ON_A_TERMINAL = """
import time
from flows.commands.console import Console
from shared.launch.progress import ProgressEvent
console = Console()
for done in (1, 50):
    console.progress(ProgressEvent("measure", done, 100, rate=20.0))
    console.progress(ProgressEvent("pretrain", done, 100, "steps", rate=2.0, fields={"loss": 2.5}))
    time.sleep(0.3)
console.line("step 40 is gone: [bold]training[/bold] :smile: has dropped its checkpoint")
console.progress(ProgressEvent("measure", 100, 100, seconds=5.0, ended=True))
LAST
"""


def on_a_terminal(last: str) -> str:
    """Return all that a pseudo-terminal of 100 columns received."""
    leader, follower = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100", "LINES": "20"}
    command = [sys.executable, "-c", ON_A_TERMINAL.replace("LAST", last)]
    received: list[bytes] = []

    def read() -> None:
        deadline = time.monotonic() + 90
        try:
            while time.monotonic() < deadline and (data := os.read(leader, 4096)):
                received.append(data)
        except OSError:  # the other end is closed
            return

    with started(command, stdout=follower, stderr=follower, env=environment, cwd=ROOT) as process:
        os.close(follower)
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        process.wait(60)
    reader.join(30)
    os.close(leader)
    return b"".join(received).decode()


def test_a_terminal_shows_a_row_for_each_piece_of_work_and_lines_above_them():
    screen = on_a_terminal('console.progress(ProgressEvent("pretrain", 100, 100, "steps", seconds=50.0, ended=True))')
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
    assert re.search(r"measure +.*50/100 20 images/s · 0:00:02 left", plain)
    assert re.search(r"pretrain +.*50/100 2 steps/s · loss 2.5 · 0:00:25 left", plain)
    assert "step 40 is gone: [bold]training[/bold] :smile: has dropped its checkpoint\r\n" in plain
    assert "measure         100 images · 5.0 s\r\n" in plain
    assert plain.rstrip().endswith("pretrain        100 steps · 50.0 s")
    assert "\x1b[1A" in screen, "rows do not move"


@pytest.mark.parametrize("last", ["", "raise KeyboardInterrupt"])
def test_a_command_that_ends_early_gives_the_cursor_back(last):
    screen = on_a_terminal(last)
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")
