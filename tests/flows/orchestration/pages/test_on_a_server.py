"""Progress on the pages of a real server: a bar of what takes steps, and a training's page that moves meanwhile."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.orchestration.pages import live_training
from flows.orchestration.pages.live_training import shown_live
from flows.orchestration.pages.run_log import RunLog
from flows.orchestration.serving.server import server
from flows.recipe.recipe import load_recipe
from flows.session import Session
from shared.launch.executors import Inline
from shared.launch.progress import ProgressEvent, Silent
from shared.storage import Store
from tests.flows.orchestration.pages.test_live_training import step
from tests.ports import free_port
from tests.prefect_home import furnished
from tests.waiting import until


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prefect in this process tells a server of its own."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    logging.getLogger("prefect").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(furnished(tmp_path_factory.mktemp("prefect"))))
        with server("127.0.0.1", free_port()) as api, temporary_settings({PREFECT_API_URL: api}):
            yield


def test_a_flow_shows_a_bar_on_prefects_own_pages(reached: None) -> None:
    from prefect import flow
    from prefect.artifacts import Artifact

    @flow
    def work() -> None:
        log = RunLog()
        for done in (0, 10, 40):
            log.progress(ProgressEvent("pretrain", done, 40, "steps", fields={"loss": 2.5}, ended=done == 40))

    work()
    artifact: Any = Artifact.get("progress-pretrain")
    assert artifact.type == "progress"
    assert float(artifact.data) == 100.0
    assert "loss 2.5" in artifact.description


def test_the_page_moves_while_the_training_goes_on(
    reached: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow
    from prefect.artifacts import Artifact

    monkeypatch.setattr(live_training, "LIVE_SECONDS", 0.1)
    session = Session(load_recipe("laptop"), Store(str(tmp_path)), Inline(), Silent())
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
