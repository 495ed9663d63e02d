"""`dinoflow datasets WORKSPACE compact`: shards that mostly hold what is not kept any more are packed anew."""

import sys
from typing import Any

from curation.publish.append.compact import compact
from flows.commands.console import Console
from flows.inspect.workspace import existing, only
from flows.pipeline import ReportRequest, draw_report
from flows.report.kit.pages import counted
from shared.dataset_version import dataset_names
from shared.errors import UserError
from shared.launch.executors import processes_for
from shared.params import Compute


def compact_dataset(workspace: str, name: str | None, dead: float, json: bool) -> dict[str, Any]:
    """Publish the newest version of a dataset again without its mostly dead shards; print, and return, what was done.

    Raises UserError where the name is none, or the share is not one.
    """
    console, store = Console(sys.stderr if json else None, quiet=json), existing(workspace)
    if not 0 <= dead < 1:
        raise UserError(f"compact needs a share of dead bytes from 0 to 1, got {dead}. Leave --dead out for 0.3.")
    if name and name not in dataset_names(store):
        raise UserError(f"compact needs the name of a dataset, got {name!r}. Choose one of: {dataset_names(store)}.")
    processes = processes_for(Compute())
    try:
        done = compact(store, name or only(store), dead, processes, console)
    finally:
        processes.close()
    dataset = done.dataset
    if done.repacked:
        draw_report(ReportRequest(store.url, dataset.name, dataset.version))
        console.say(
            f"{counted(len(done.repacked), 'shard')} repacked: {dataset.name}/{dataset.version} holds the same images"
        )
        console.say("Its runs are those of the version before. Delete that one, and compact again, to free the bytes.")
    else:
        console.say(f"{dataset.name}/{dataset.version}: no shard has more than {dead:.0%} dead bytes")
    if done.removed:
        console.say(f"{done.removed:,} bytes of shards that no version lists are deleted")
    facts = {"dataset": dataset.name, "version": dataset.version}
    return facts | {"repacked": done.repacked, "removed_bytes": done.removed}
