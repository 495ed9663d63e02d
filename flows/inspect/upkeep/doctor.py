"""`dinoflow doctor WORKSPACE`: every file of a workspace checked, and what can be made again mended."""

import sys
from collections.abc import Iterator
from typing import Any

from flows.commands.console import Console
from flows.inspect.verify import REPACK, damages
from flows.inspect.workspace import existing
from flows.plan.needed import CacheFile, cache_folders, files, memory_folders
from shared.dataset_version import dataset_names, open_version, versions
from shared.errors import DamagedFileError
from shared.launch.progress import Meter
from shared.stage_runner.memo_runs import RUN_ENDING, check_run
from shared.storage import Store
from shared.storage.checked import check_whole
from shared.storage.checked_json import read_facts
from shared.storage.files import sha256
from shared.tables import output_of
from training.runs.checkpoint_files import ABOUT

CHECKPOINT_ADVICE = "Delete its folder: `dinoflow pretrain` goes on from the last good one."


def examine(workspace: str, json: bool) -> dict[str, Any]:
    """Print, and return, what is damaged. What somebody who needs it makes again is deleted."""
    console, store = Console(sys.stderr if json else None, quiet=json), existing(workspace)
    mended, checked = _cache(store, console)
    mended |= _records(store)
    for name in mended:
        store.delete(name)
        console.say(f"mended: {name} {mended[name]}; it is deleted, and made again when it is needed")
    published = {
        f"datasets/{name}/{version}": lines
        for name in dataset_names(store)
        for version in versions(store, name)
        if (lines := _version(store, name, version, console))
    }
    checkpoints = [f"{name} has other bytes than were saved. {CHECKPOINT_ADVICE}" for name in _checkpoints(store)]
    damaged = [f"{folder}/{line}" for folder, lines in published.items() for line in lines] + checkpoints
    if not damaged and not mended:
        console.say(f"{checked:,} files of the cache, all versions, runs and scores are as they were written")
    return {"mended": sorted(mended), "damaged": damaged, "advice": REPACK if published else ""}


def _cache(store: Store, console: Console) -> tuple[dict[str, str], int]:
    """Return the damaged files of the stage cache with what is wrong, and the number of files."""
    folders = [*cache_folders(store), *memory_folders(store)]
    existing_files = [file for folder in folders for file in files(store, folder) if not file.unfinished]
    meter, broken = Meter("doctor", sum(file.size for file in existing_files), console.progress, unit="bytes"), {}
    for file in existing_files:
        try:
            _check(store, file)
        except DamagedFileError as error:
            broken[file.name] = error.why
            if not file.name.endswith((".json", RUN_ENDING)):  # what stands beside a part, the part vouches for
                broken |= {part: "vouches for what is damaged" for part in [_part_of(file.name)] if store.exists(part)}
        meter.add(file.size)
    meter.end()
    return broken, len(existing_files)


def _records(store: Store) -> dict[str, str]:
    """Return the damaged records of runs and scores with what is wrong: their commands write them again."""
    broken = {}
    folders = [f"{place}/{run}" for place in ("runs", "evaluations") for run in store.names(place)]
    for name in (f"{folder}/{name}" for folder in folders for name in store.names(folder) if name.endswith(".json")):
        try:
            read_facts(store, name)
        except DamagedFileError as error:
            broken[name] = error.why
    return broken


def _part_of(file: str) -> str:
    return f"{file.rpartition('/')[0]}.parquet"


def _check(store: Store, file: CacheFile) -> None:
    if file.name.endswith(".parquet"):
        check_whole(store, file.name)
    elif file.name.endswith(RUN_ENDING):
        check_run(store, file.name)
    elif file.name.endswith(".json"):
        facts = read_facts(store, file.name)
        _, stage, *inside, name = file.name.split("/")
        if not inside:  # a seal; deeper lie the orders of a stage's pieces
            output_of(facts, stage, name.removesuffix(".json"))


def _version(store: Store, name: str, version: str, console: Console) -> list[str]:
    try:
        return damages(open_version(store, name, version), console)
    except DamagedFileError as error:
        return [f"dataset.json: {error.why}"]


def _checkpoints(store: Store) -> Iterator[str]:
    """Yield the checkpoints whose bytes are not those that were saved."""
    for run in store.names("runs"):
        steps = (name for name in store.names(f"runs/{run}/checkpoints") if name.startswith("step-"))
        for step in steps:
            folder = f"runs/{run}/checkpoints/{step}"
            try:
                about = read_facts(store, f"{folder}/{ABOUT}")
                with store.fetched(f"{folder}/state.pt") as path:
                    good = sha256(path) == about["sha256"]
            except (FileNotFoundError, NotADirectoryError, DamagedFileError, KeyError):
                good = False
            if not good:
                yield folder
