"""Scores the checkpoints of a run while its training goes on: looks now and then, scores what is new, ends with it.

Each round is the evaluation stage in a process of its own, at low priority and on the CPU unless the recipe
says otherwise. It writes scores, pictures and the mark of the best checkpoint; training only reads the mark.
"""

import time
from threading import Event
from typing import Any

from flows import pipeline
from flows.session import Session
from shared.dataset_version import Published
from shared.errors import WorkFailedError
from shared.storage import Store

LOOK_SECONDS = 3.0
NICENESS = 10
"""Where both want a core, a tenth of what training gets: enough to go on, too little to slow it down."""
RESULT = "pretrain.json"
"""In the folder of a run whose training is done."""


def follow(
    session: Session, dataset: Published, run: str, *, patience: float, stop: Event | None = None
) -> dict[str, Any]:
    """Score every checkpoint that appears until the run is done; return what came of it. `stop` ends it early.

    Raises WorkFailedError when the run has shown no sign of life for `patience` seconds: it was stopped, or never
    started.
    """
    beside, stop = _beside(session), stop or Event()
    scored: set[str] = set()
    result: dict[str, Any] = {}
    life, since = _signs(session.store, run), time.monotonic()
    while not stop.is_set():
        last = session.store.exists(f"runs/{run}/{RESULT}")
        existing = _checkpoints(session.store, run)
        if existing - scored or (not result and last):
            result = pipeline.evaluate(beside, dataset, run, niceness=NICENESS, stop=stop)
            scored |= existing
        if last:
            break
        if (now := _signs(session.store, run)) != life:
            life, since = now, time.monotonic()
        if time.monotonic() - since > patience:
            raise WorkFailedError(
                f"Following needs a run that goes on, got {run} without a sign of life for {patience:.0f} s. "
                "Start `dinoflow pretrain` with the same recipe, or wait longer with --patience."
            )
        stop.wait(LOOK_SECONDS)
    return result


def _beside(session: Session) -> Session:
    """Return the session with an evaluation that leaves devices to training, unless one is asked for."""
    compute = session.recipe.compute
    device = "cpu" if compute.device == "auto" else compute.device
    recipe = session.recipe.model_copy(update={"compute": compute.model_copy(update={"device": device, "workers": 1})})
    return Session(recipe, session.store, session.executor, session.reporter)


def _checkpoints(store: Store, run: str) -> set[str]:
    return set(store.names(f"runs/{run}/checkpoints"))


def _signs(store: Store, run: str) -> tuple[int, frozenset[str]]:
    """Return what changes as a run goes on: the length of its metrics, and its checkpoints."""
    metrics = f"runs/{run}/metrics.jsonl"
    length = int(store.fs.size(store.path(metrics))) if store.exists(metrics) else 0
    return length, frozenset(_checkpoints(store, run))
