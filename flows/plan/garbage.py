"""What no published version of a workspace needs: told, and deleted where that is asked for."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from curation.publish.append.draft import lock_name
from flows.plan.needed import CacheFile, cache_folders, files, listed_shards, needed, outdated_memory, shard_folder
from shared.dataset_version import FOLDER as DATASETS
from shared.dataset_version import SHARDS, dataset_names
from shared.stage_runner.orders import MEMORY
from shared.storage import UNFINISHED, Store, locked

SECONDS_PER_HOUR = 3600
Garbage = dict[str, list[CacheFile]]
"""What may go, by what it is."""
CACHE, DRAFTS, OLD_SHARDS = "stage cache", "drafts of killed commands", "shards that no version lists"
MEMORIES = "rows of a stage's other versions"


def collect(store: Store, *, delete: bool, hours: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Say, and return, what no kept version needs; delete it where that is asked for. Nobody publishes meanwhile.

    What was written in the last hours stays: a command that is at work may need it.
    """
    with ExitStack() as locks:
        for name in dataset_names(store):
            locks.enter_context(locked(store, lock_name(name), f"gc of {name}", say))
        garbage = garbage_of(store, time.time() - hours * SECONDS_PER_HOUR)
        for line in _lines(garbage, delete):
            say(line)
        for file in (file for group in garbage.values() for file in group) if delete else ():
            store.delete(file.name)
        if delete and store.local:
            _remove_empty_folders(store)
    sizes = {what: sum(file.size for file in group) for what, group in garbage.items()}
    return {"removed": delete, "bytes": sizes, "files": {what: len(group) for what, group in garbage.items()}}


def garbage_of(store: Store, before: float) -> Garbage:
    """Return the files that were written before a time and that no published version needs."""
    kept, garbage = needed(store), Garbage()
    for folder in cache_folders(store):
        for file in files(store, folder):
            if not (file.name in kept or file.name.rpartition("/")[0] in kept):
                garbage.setdefault(DRAFTS if file.unfinished else CACHE, []).append(file)
    for file in outdated_memory(store):
        garbage.setdefault(MEMORIES, []).append(file)
    for file in files(store, DATASETS) if store.exists(DATASETS) else ():
        if file.unfinished:
            garbage.setdefault(DRAFTS, []).append(file)
    for name in dataset_names(store):
        listed = listed_shards(store, name)
        for file in files(store, shard_folder(name)) if store.exists(shard_folder(name)) else ():
            inside = f"{SHARDS}/{file.name.rpartition('/')[2].rpartition('.')[0]}"
            if not file.unfinished and inside not in listed:
                garbage.setdefault(OLD_SHARDS, []).append(file)
    old = {what: [file for file in group if file.written < before] for what, group in garbage.items()}
    return {what: group for what, group in old.items() if group}


def _lines(garbage: Garbage, delete: bool) -> Iterator[str]:
    if not garbage:
        yield "Nothing to delete: every file is needed by a published version, or was written in the last hours."
        return
    for what, group in garbage.items():
        example = f", such as {group[0].name}" if not delete else ""
        yield f"{what:<30} {sum(file.size for file in group):>16,} bytes in {len(group):,} files{example}"
    total = sum(file.size for group in garbage.values() for file in group)
    if delete:
        yield f"{total:,} bytes deleted. What the cache held is made again when it is asked for."
    else:
        yield f"{total:,} bytes would be deleted. Nothing is yet."


def _remove_empty_folders(store: Store) -> None:
    for folder in [*cache_folders(store), MEMORY, DATASETS]:
        for path, _, _ in os.walk(store.path(folder), topdown=False):
            name = path.rpartition("/")[2]
            if not os.listdir(path) and (folder != DATASETS or name.startswith(UNFINISHED)):
                os.rmdir(path)
