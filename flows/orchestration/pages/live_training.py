"""The page of a training while it goes on: how far, how fast, how long still, and its curves, written now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.actions import ArtifactUpdate

from flows.report.kit.charts import as_picture
from flows.report.run.curves import KNN, LOSS, SPEED, draw
from flows.report.run.read import rows
from flows.session import Session
from shared.launch.progress import ProgressEvent, Reporter, clock, field_texts, rate_text
from shared.storage import Store

LIVE_SECONDS, CALM_SECONDS = 30.0, 300.0
"""The page is at most so old: at first, and in a training of days. Each writing is an event that the server keeps."""
SHARE = 0.01
"""Between the two, the page is at most as old as this share of the time that the training has taken."""
POINTS = 150
"""Of each curve; of more than twice as many, every second is left out."""
NAMES = {"loss": "loss", "k-NN": "knn_top1", "images/s": "images_per_second"}
"""What an event tells → what metrics.jsonl calls it."""
STAGE = "pretrain"


@contextmanager
def shown_live(session: Session, run: str) -> Iterator[Session]:
    """Give the session with a reporter that also keeps the page of this training, through the block."""
    page = LiveTraining(session.reporter, run, _earlier(session.store, run))
    stop = Event()
    writer = Thread(target=copy_context().run, args=(page.keep, stop), daemon=True)
    writer.start()
    try:
        yield session.reporting_to(page)
    finally:
        stop.set()
        writer.join()


class LiveTraining:
    """A reporter that passes everything on, and keeps a page of what it was told last."""

    def __init__(self, reporter: Reporter, run: str, points: list[dict[str, Any]]) -> None:
        self.reporter, self.run, self.points = reporter, run, points
        self.latest: ProgressEvent | None = None
        self._artifact: UUID | None = None

    def progress(self, event: ProgressEvent) -> None:
        """Pass the event on, and remember it."""
        self.reporter.progress(event)
        if event.kind == STAGE and event.fields:
            values = {NAMES[name]: value for name, value in event.fields.items() if name in NAMES}
            earlier = [point for point in self.points if point["step"] < event.done]  # a resume takes some again
            self.points = _with(earlier, {"step": event.done, **values})
            self.latest = event

    def line(self, text: str) -> None:
        """Pass a line on."""
        self.reporter.line(text)

    def keep(self, stop: Event) -> None:
        """Write the page now and then, and a last time when asked to stop.

        A server that does not answer costs the page, never the training.
        """
        began, shown = time.monotonic(), None
        while True:
            spent = time.monotonic() - began
            first = LIVE_SECONDS if shown else 1.0  # the first steps are awaited
            ended = stop.wait(max(first, min(CALM_SECONDS, SHARE * spent)))
            if self.latest is not None and (ended or self.latest is not shown):
                shown = self.latest
                with suppress(httpx.HTTPError):
                    self._write(shown, self.markdown(shown, ended))
            if ended:
                return

    def markdown(self, event: ProgressEvent, ended: bool) -> str:
        """Return the page."""
        left = [] if event.eta_seconds is None or ended else [f"{clock(event.eta_seconds)} left"]
        rate = [] if event.rate is None else [rate_text(event.rate, "steps")]
        facts = [f"**step {event.done:,} of {event.total:,}**", *rate, *left]
        charts = draw(self.points, (LOSS, KNN, SPEED))
        lines = [f"# {self.run}", "", " · ".join(facts), "", " · ".join(field_texts(event.fields)), ""]
        for one in charts:
            lines += [f"**{one['title']}**", "", f"![{one['title']}]({as_picture(one['chart'])})", ""]
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return "\n".join([*lines, f"As of {now}. {'It has ended.' if ended else 'Reload the page for newer ones.'}"])

    def _write(self, event: ProgressEvent, text: str) -> None:
        description = f"{self.run}: step {event.done:,} of {event.total:,}"
        if self._artifact is None:
            made = create_markdown_artifact(text, key="training", description=description)
            assert isinstance(made, UUID)
            self._artifact = made
            return
        with get_client(sync_client=True) as client:
            client.update_artifact(self._artifact, ArtifactUpdate(data=text, description=description))


def _earlier(store: Store, run: str) -> list[dict[str, Any]]:
    """Return what a run that goes on has recorded before."""
    points: list[dict[str, Any]] = []
    knn: dict[str, Any] = {}
    for row in rows(store, f"runs/{run}/metrics.jsonl"):
        knn = {"knn_top1": row["knn_top1"]} if "knn_top1" in row else knn  # measured now and then, and told ever after
        points += [{key: row[key] for key in ("step", "loss", "images_per_second") if key in row} | knn]
    points = [point for point in points if "step" in point]
    return points[:: max(1, len(points) // POINTS)]


def _with(points: list[dict[str, Any]], point: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the points and a new one, which takes the place of the last where that stands close to the one before."""
    if len(points) > 1 and point["step"] - points[-2]["step"] < (point["step"] - points[0]["step"]) / POINTS:
        points = points[:-1]
    return [*(points if len(points) < 2 * POINTS else points[::2]), point]
