"""Publishers as processes of their own, which may be killed at a chosen place or meet each other."""

import io
import json
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from flows import pipeline
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.dataset_version import Published
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store, locked
from tests.waiting import LIMIT_SECONDS

PLACES = ("publish: look up", "publish: shards", "publish: tables", "renamed", "published")
"""Where a publisher may be killed: in each kind of work, just before its version appears, and just after."""


def session(photos: Path | str, workspace: str, executor: Inline | None = None, **curation: Any) -> Session:
    """A request on small parts and shards that decides by exact copies and hashes alone."""
    small = {"index": {"part_images": 16}, "pack": {"shard_images": 16}, "dedup": {"near": {"enabled": False}}}
    sources = [{"kind": "folder", "url": str(photos)}]
    recipe = Recipe.model_validate({"name": "pets", "sources": sources, "curation": small | curation})
    return Session(recipe, Store(workspace), executor or Inline(), Silent())


def publish(photos: Path, workspace: Path | str, **curation: Any) -> Published:
    """Curate and publish here, without a report."""
    work = session(photos, str(workspace), **curation)
    return work.made_again(lambda: pipeline.made_version(work))[0]


class Killed(Inline):
    """Kills its own process after the first piece of some work."""

    def __init__(self, place: str) -> None:
        self.place = place

    def map(self, fn: Callable[[Any], Any], items: Any, label: str, *more: Any) -> Iterator[Any]:
        for item in items:
            yield fn(item)
            if label == self.place:
                os.kill(os.getpid(), signal.SIGKILL)


def _killed(photos: Path, workspace: Path, place: str) -> None:
    rename = os.rename

    def renamed(*names: Any) -> None:
        if place == "published":
            rename(*names)
        os.kill(os.getpid(), signal.SIGKILL)

    if place in ("renamed", "published"):
        os.rename = renamed  # type: ignore[assignment]
    work = session(photos, str(workspace), Killed(place))
    pipeline.made_version(work)


def _meeting(photos: Path | str, workspace: str, smallest: int, barrier: Barrier) -> None:
    work = session(photos, workspace, quality={"rules": [{"kind": "too_small", "threshold": smallest}]})
    for stage in pipeline.STAGES:
        work.make(stage)
    barrier.wait(LIMIT_SECONDS)
    pipeline.made_version(work)


def die_inside_of_a_lock(workspace: str) -> None:
    """Take the lock `pets`, and be killed."""
    with locked(Store(workspace), "pets", "publishing pets", print):
        os.kill(os.getpid(), signal.SIGKILL)


SPAWN = get_context("spawn")
"""For what needs this process's own settings and no others: a server of forks has those of the test that began it."""
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.publishers", "curation.measure.measure", "curation.dedup.dedup"])


def killed(photos: Path, workspace: Path, place: str) -> None:
    """Publish in a process that is killed at a place, and wait for its death."""
    process = CONTEXT.Process(target=_killed, args=(photos, workspace, place))
    process.start()
    process.join(LIMIT_SECONDS)
    assert process.exitcode == -signal.SIGKILL, place


def at_once(photos: Path | str, workspace: str, smallest: tuple[int, ...]) -> None:
    """Publish in several processes that begin to publish together, each with its own limit of size."""
    barrier = SPAWN.Barrier(len(smallest))
    several = [SPAWN.Process(target=_meeting, args=(photos, workspace, limit, barrier)) for limit in smallest]
    for process in several:
        process.start()
    for process in several:
        process.join(LIMIT_SECONDS)
        assert process.exitcode == 0


def logical(dataset: Published) -> dict[str, Any]:
    """Everything that a version says of its images, part by part, but for where they lie."""
    places = {"shard", "offset"}
    kept = [
        [{k: v for k, v in row.items() if k not in places} for row in _rows(dataset, file)]
        for file in dataset.files("manifest")
    ]
    dropped = [row for file in dataset.files("dropped") for row in _rows(dataset, file)]
    return {"kept": kept, "dropped": dropped, "counts": dataset.info["counts"], "name": dataset.info["fingerprint"]}


def _rows(dataset: Published, file: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    with dataset.store.open_arrow(file) as opened:
        rows: list[dict[str, Any]] = pq.read_table(opened).to_pylist()
    return rows


def members(dataset: Published) -> dict[tuple[str, str], tuple[bytes, dict[str, Any]]]:
    """What someone finds who reads the shards of a version as whole tars: (shard, id) → bytes and sidecar."""
    contents: dict[tuple[str, str], tuple[bytes, dict[str, Any]]] = {}
    for name in dataset.info["shards"]:
        with tarfile.open(fileobj=io.BytesIO(dataset.shards.read(name))) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        for file in files:
            key, ending = file.split(".")
            if ending == "jpg":
                contents[name, key] = files[file], json.loads(files[f"{key}.json"])
    return contents


def hidden(dataset: Published) -> set[tuple[str, str]]:
    """The tombstones of a version: (shard, id)."""
    if not dataset.files("hidden"):
        return set()
    table = dataset.table("hidden", ["shard", "image_id"]).to_pydict()
    return set(zip(table["shard"], table["image_id"], strict=True))
