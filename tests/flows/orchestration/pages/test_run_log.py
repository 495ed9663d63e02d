"""What Prefect's pages show of progress: a line for each tenth, and a bar for what takes more than one step."""

from uuid import UUID, uuid4

import pytest

from flows.orchestration.pages import run_log
from flows.orchestration.pages.run_log import RunLog
from shared.launch.progress import ProgressEvent


class Pages:
    """Stands in for Prefect: keeps lines and artifacts."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bars: dict[UUID, list[float]] = {}
        self.keys: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)

    def create(self, progress: float, key: str, description: str) -> UUID:
        self.keys.append(key)
        self.bars[made := uuid4()] = [progress]
        return made

    def update(self, artifact: UUID, progress: float, description: str) -> None:
        self.bars[artifact].append(progress)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    stand_in = Pages()
    monkeypatch.setattr(run_log, "get_run_logger", lambda: stand_in)
    monkeypatch.setattr(run_log, "create_progress_artifact", stand_in.create)
    monkeypatch.setattr(run_log, "update_progress_artifact", stand_in.update)
    return stand_in


def test_every_tenth_is_logged_and_moves_the_bar(pages: Pages) -> None:
    log = RunLog()
    for done in range(1000):
        log.progress(ProgressEvent("measure_references", done, 1000))
    log.progress(ProgressEvent("measure_references", 1000, 1000, seconds=9.0, ended=True))
    assert len(pages.lines) == 11
    assert pages.keys == ["progress-measure-references"]
    (bar,) = pages.bars.values()
    assert bar == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


def test_what_is_done_at_once_has_a_line_and_no_bar_and_a_gangs_lines_stay_lines(pages: Pages) -> None:
    log = RunLog()
    log.progress(ProgressEvent("quality", 0, 50))
    log.progress(ProgressEvent("quality", 50, 50, seconds=0.1, ended=True))
    log.line("step 40 is gone: training has dropped its checkpoint")
    assert pages.bars == {}
    assert pages.lines[-2:] == [
        "quality          50 images · 0.1 s",
        "step 40 is gone: training has dropped its checkpoint",
    ]
