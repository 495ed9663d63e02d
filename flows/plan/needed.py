"""What the published versions of a workspace need, and all that lies where such things lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from curation.stages import STAGES
from shared.dataset_version import FOLDER as DATASETS
from shared.dataset_version import SHARDS, dataset_names, open_version, versions
from shared.errors import DamagedFileError
from shared.stage_runner.memo_runs import RUN_ENDING
from shared.stage_runner.orders import MEMORY
from shared.storage import UNFINISHED, Store
from shared.tables import FOLDER, REMEMBERED, manifest_name, part_name, sealed


@dataclass(frozen=True)
class CacheFile:
    """A file of a workspace."""

    name: str
    size: int
    written: float
    """Seconds since 1970."""

    @property
    def unfinished(self) -> bool:
        """Whether it is a draft, or inside of one."""
        return any(step.startswith(UNFINISHED) for step in self.name.split("/"))


def files(store: Store, folder: str) -> Iterator[CacheFile]:
    """Yield every file below a folder, drafts too."""
    store.fs.invalidate_cache()
    for path, facts in sorted(store.fs.find(store.path(folder), detail=True).items()):
        yield CacheFile(path.removeprefix(store.path() + "/"), int(facts["size"] or 0), _written(facts))


def _written(facts: dict[str, Any]) -> float:
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        when = facts.get(key)
        if isinstance(when, datetime):
            return when.timestamp()
        if isinstance(when, int | float):
            return float(when)
    return 0.0


def cache_folders(store: Store) -> list[str]:
    """Return the folders of the stage cache that hold what curation makes, and nothing else."""
    return [f"{FOLDER}/{stage.name}" for stage in STAGES if store.exists(f"{FOLDER}/{stage.name}")]


def memory_folders(store: Store) -> list[str]:
    """Return the folders of what stages and the report remember, row by row."""
    folders = [f"{MEMORY}/{name}" for name in store.names(MEMORY)]
    return [folder for folder in folders if any(file.name.endswith(RUN_ENDING) for file in files(store, folder))]


def outdated_memory(store: Store) -> Iterator[CacheFile]:
    """Yield the files of rows that stages remembered in other versions of theirs: nobody asks for them any more."""
    for stage in STAGES:
        folder = f"{MEMORY}/{stage.name}"
        for file in files(store, folder) if stage.remembers and store.exists(folder) else ():
            if file.name.split("/")[2] != f"v{stage.version}":
                yield file


def needed(store: Store) -> set[str]:
    """Return the files of the stage cache, and the folders of files beside parts, that published versions were made of.

    `explain`, the report and the next curation read them.
    """
    names = set[str]()
    for name in dataset_names(store):
        for version in versions(store, name):
            for stage, key in open_version(store, name, version).info.get("lineage", {}).items():
                names |= _of_output(store, stage, key)
    return names


def _of_output(store: Store, stage: str, key: str) -> set[str]:
    try:
        output = sealed(store, stage, key)
    except DamagedFileError:
        return set()
    if output is None:
        return {manifest_name(stage, key)}
    parts = {part_name(stage, part.name) for part in output.parts}
    beside = {f"{FOLDER}/{stage}/{part.name}" for part in output.parts}
    return {manifest_name(stage, key), *parts, *beside, *output.facts.get(REMEMBERED, ())}


def listed_shards(store: Store, name: str) -> set[str]:
    """Return the shards, without ending, that a published version of a dataset lists."""
    listed = {
        file for version in versions(store, name) for file in open_version(store, name, version).info["checksums"]
    }
    return {file.removesuffix(".tar") for file in listed if file.startswith(f"{SHARDS}/")}


def shard_folder(name: str) -> str:
    """Where the shards of a dataset lie."""
    return f"{DATASETS}/{name}/{SHARDS}"
