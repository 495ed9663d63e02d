"""A training's page on a real server: it moves while steps are taken, and it costs no training its end."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.orchestration.pages import live_training
from flows.orchestration.pages.live_training import POINTS, LiveTraining, shown_live
from flows.recipe.recipe import load_recipe
from flows.session import Session
from shared.launch.executors import Inline
from shared.launch.progress import ProgressEvent, Silent
from shared.storage import Store


def step(number: int, of: int = 400, **fields: float) -> ProgressEvent:
    values = {"loss": 10 - number / 100, "images/s": 64.0} | fields
    return ProgressEvent("pretrain", number, of, "steps", rate=2.0, fields=values)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(load_recipe("laptop"), Store(str(tmp_path)), Inline(), Silent())


def test_a_run_that_goes_on_shows_what_it_had_and_not_what_it_takes_again(session: Session) -> None:
    rows = "".join(f'{{"step": {n}, "loss": {n}, "images_per_second": 1, "lr": 1}}\n' for n in range(1, 5001))
    session.store.write("runs/r/metrics.jsonl", rows)
    page = LiveTraining(Silent(), "r", live_training._earlier(session.store, "r"))
    assert len(page.points) <= 2 * POINTS
    for number in range(3001, 9000):
        page.progress(step(number, 9000))
    steps = [point["step"] for point in page.points]
    assert steps == sorted(set(steps))
    assert len(steps) <= 2 * POINTS
    assert max(b - a for a, b in pairwise(steps)) < 9000 / POINTS * 3, "evenly"
    assert steps[0] < 100, "the curve begins where the run began"
    assert steps[-1] == 8999
    assert all(point["loss"] < 0 for point in page.points if point["step"] > 3000), "the later of two tellings"
    assert len(page.markdown(step(8999, 9000), ended=False)) < 40_000


def test_a_server_that_does_not_answer_costs_the_page_and_not_the_training(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refused(*_: Any, **__: Any) -> None:
        asked.append(1)
        raise httpx.ConnectError("no")

    monkeypatch.setattr(live_training, "create_markdown_artifact", refused)
    with shown_live(session, "r") as shown:
        shown.reporter.progress(step(1))
    assert asked
