"""What flows do with a published dataset, as Prefect tasks: pre-train, score, and score while training goes on."""

import math
from threading import Event
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import pipeline
from flows.follow import follow as follow_run
from flows.orchestration.pages.artifacts import run_artifact
from flows.orchestration.pages.live_training import shown_live
from flows.session import Session
from shared.dataset_version import Published


def train(session: Session, dataset: Published) -> pipeline.Trained:
    """Train, and where the recipe says so score checkpoints meanwhile, in a task beside it; then score the rest."""
    run, stop = pipeline.run_of(session, dataset), Event()

    @task(name="follow", task_run_name=f"follow {run}", cache_policy=NO_CACHE)
    def beside() -> None:
        follow_run(session, dataset, run, patience=math.inf, stop=stop)

    following_it = beside.submit() if session.recipe.compute.follow else None
    try:
        trained = _pretrain(session, dataset, run)
    except BaseException:  # cancelled, or failed
        stop.set()
        raise
    if following_it:
        following_it.wait()  # should it have failed, the evaluation that comes now says why
    evaluate(session, dataset, run)
    return trained


def _pretrain(session: Session, dataset: Published, run: str) -> pipeline.Trained:
    """Train in a task of its own, called directly: only so is it told to stop when the flow is cancelled."""

    @task(name="pretrain", task_run_name=f"pretrain on {dataset.name} {dataset.version}", cache_policy=NO_CACHE)
    def work() -> pipeline.Trained:
        with shown_live(session, run) as shown:
            return pipeline.pretrain(shown, dataset)

    return work()


def evaluate(session: Session, dataset: Published, run: str) -> dict[str, Any]:
    """Score the checkpoints that have no score yet, and show them on the run's page."""

    @task(name="evaluate", task_run_name=f"evaluate {run}", cache_policy=NO_CACHE)
    def work() -> dict[str, Any]:
        return pipeline.evaluate(session, dataset, run)

    facts = work()
    run_artifact(session.store, run)
    return facts
