"""Starts a gang, or this machine's part of one, again where it is lost, and brings its files home."""

import signal
import time
from functools import partial
from threading import Event
from typing import Any

from shared.dataset_version import Published
from shared.errors import RecipeError, StoppedError, UserError, WorkFailedError
from shared.launch.cluster.find_place import find_place
from shared.launch.cluster.place import Place
from shared.launch.command import command_of, environment_of
from shared.launch.mirror import mirrored
from shared.launch.progress import Reporter
from shared.launch.relay import relayed
from shared.launch.stop_signals import REQUEUE
from shared.launch.worker import Job
from shared.params import Compute, Params, fingerprint
from shared.stage import Stage
from shared.storage import Store
from shared.storage.checked_json import json_facts

LOST = range(129, 160)
"""Exit codes of what a signal killed, as shells and the supervisor say them: 128 and the signal's number."""
RESULT_SECONDS = 60.0
"""How long the other machines wait for what the first one has written to show on the disk they share."""


def run_name(stage: Stage, params: Params, dataset: Published) -> str:
    """Name a run after what makes it: the dataset's content, whichever shards hold it, stage, params."""
    facts = [stage.name, stage.version, stage.identity(params), dataset.info["fingerprint"]]
    return f"{dataset.name}-{dataset.content_version}-{fingerprint(*facts)[:8]}"


def gang(
    stage: Stage,
    params: Params,
    dataset: Published,
    *,
    run: str,
    workspace: Store,
    compute: Compute,
    reporter: Reporter,
    niceness: int = 0,
    stop: Event | None = None,
) -> dict[str, Any]:
    """Run the stage in processes that start and stop together; return rank 0's result.

    `reporter` gets every printed line and every event. With niceness, up to 19, other processes go first; `stop`
    ends it early. Raises WorkFailedError with the end of the log when a process fails, StoppedError when the gang was
    asked to stop, UserError when the request was wrong.
    """
    place = find_place(compute)
    if place.several and not workspace.local:
        raise RecipeError(
            f"A training on several machines needs a workspace on a disk that all of them mount, got {workspace.url}. "
            "Name a folder there with --workspace; the sources may stay where they are."
        )
    with mirrored(workspace, run) as (home, send_logs):
        job = Job(
            stage=f"{stage.fn.__module__}:{stage.name}",
            params=params.model_dump(mode="json"),
            compute=compute,
            source=workspace.url if not workspace.local else str(home),
            dataset=dataset.name,
            version=dataset.version,
            workspace=str(home),
            run=run,
        )
        job.folder.mkdir(parents=True, exist_ok=True)
        for last_words in (job.mistake, job.failure, job.stopped):
            last_words.unlink(missing_ok=True)
        title = f"{stage.name}.{place.title}" if place.several else stage.name
        path = job.folder / f"{title}.job.json"
        path.write_text(job.model_dump_json(indent=1))
        command, environment = command_of(path, place, compute), environment_of(place, compute)
        relay = partial(
            relayed, command, environment, path.with_name(f"{title}.log"), reporter, send_logs, niceness, stop
        )
        code, tail = relay()
        for restart in range(0 if place.several else compute.max_restarts):
            if code not in LOST:  # torchrun starts its own again, and says 1 when they are lost once too often
                break
            reporter.line(_told(stage.name, code, restart + 1, compute.max_restarts))
            code, tail = relay()
        _explain(title, code, job, tail)
        return _result(job, place)


def _told(stage: str, code: int, restart: int, most: int) -> str:
    how = signal.Signals(code - 128).name
    return (
        f"{stage} was killed ({how}; SIGKILL is often for memory): restart {restart} of {most}, from its last good "
        "checkpoint"
    )


def _explain(title: str, code: int, job: Job, tail: list[str]) -> None:
    """Raise what ended the gang, if it was not its work; what a rank has left as its last words goes first."""
    if job.mistake.exists():
        raise UserError(job.mistake.read_text())
    if code in (REQUEUE, -signal.SIGTERM) or (code and job.stopped.exists()):
        raise StoppedError(
            f"{title} was asked to stop. Run the same command again: it goes on from its last checkpoint."
        )
    if code or job.failure.exists():
        raise WorkFailedError(
            f"{title} failed (exit code {code or 1}). The end of {job.folder / f'{title}.log'}:\n" + "\n".join(tail)
        )


def _result(job: Job, place: Place) -> dict[str, Any]:
    """Return what rank 0 has written. Where that is on another machine, this one waits until the disk shows it."""
    file, end = job.folder / job.result, time.monotonic() + RESULT_SECONDS
    while place.several and not file.exists() and time.monotonic() < end:
        time.sleep(0.2)
    return json_facts(file.read_bytes(), str(file))
