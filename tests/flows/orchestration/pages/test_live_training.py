"""A training's page on a real server: it moves while steps are taken, and it costs no training its end."""

import logging
from collections.abc import Iterator
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
from tests.waiting import until


def step(number: int, of: int = 400, **fields: float) -> ProgressEvent:
    values = {"loss": 10 - number / 100, "images/s": 64.0} | fields
    return ProgressEvent("pretrain", number, of, "steps", rate=2.0, fields=values)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(load_recipe("laptop"), Store(str(tmp_path)), Inline(), Silent())


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    from prefect.testing.utilities import prefect_test_harness

    logging.getLogger("prefect").setLevel(logging.ERROR)
    with prefect_test_harness(server_startup_timeout=120):
        yield


def test_the_page_moves_while_the_training_goes_on(
    session: Session, server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow
    from prefect.artifacts import Artifact

    monkeypatch.setattr(live_training, "LIVE_SECONDS", 0.1)
    seen: list[Any] = []

    def page(said: str) -> str:
        until(lambda: said in (((artifact := Artifact.get("training")) and artifact.data) or ""), said)
        seen.append(Artifact.get("training"))
        return str(seen[-1].data)

    @flow
    def work() -> None:
        with shown_live(session, "pets-v0001-abc") as shown:
            shown.reporter.progress(step(1))
            first = page("step 1 of 400")
            shown.reporter.progress(step(200, **{"k-NN": 0.31}))
            second = page("step 200 of 400")
            assert "k-NN while training" not in first
            assert "![k-NN while training](data:image/svg+xml;base64," in second
            assert "2 steps/s · 0:01:40 left" in second
            assert "Reload the page" in second
        assert "It has ended" in page("ended")

    work()
    assert len({one.id for one in seen}) == 1, "one page, written anew"
    assert seen[-1].description == "pets-v0001-abc: step 200 of 400"


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
