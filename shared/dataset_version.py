"""A published dataset version, as its readers see it: the only meeting place of curation and training."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.errors import WorkspaceError
from shared.storage import Store
from shared.storage.checked_json import json_facts

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "datasets"
SHARDS = "shards"
"""In a version, and beside the versions that share them."""
HELD_OUT_SHARE = 10
"""One image in so many is kept from training where a recipe names no evaluation set."""


NUMBERED = re.compile(r"v(\d+)")


@dataclass(frozen=True)
class Published:
    """One immutable version: `dataset.json`, and the `manifest/`, `dropped/` and `shards/` that it lists."""

    store: Store
    name: str
    version: str

    @cached_property
    def info(self) -> dict[str, Any]:
        """The contents of dataset.json. Raises DamagedFileError where it is not as it was published."""
        return json_facts(self.store.read("dataset.json"), f"{FOLDER}/{self.name}/{self.version}/dataset.json")

    @property
    def content_version(self) -> str:
        """The first version of this content: compaction makes a later one, for which nothing is trained again."""
        return str(self.info.get("content_version", self.version))

    @property
    def workspace(self) -> Store:
        """The workspace that it is published in."""
        return Store(self.store.url.rstrip("/").rsplit("/", 3)[0])

    @cached_property
    def shards(self) -> Store:
        """Where the shards lie: in the version, or beside all versions of the dataset, which share them."""
        beside = self.info.get("shard_folder", SHARDS) != SHARDS
        return Store(f"{self.store.url.rstrip('/').rpartition('/')[0]}/{SHARDS}") if beside else self.store.sub(SHARDS)

    def files(self, kind: str) -> list[str]:
        """Return the files of `manifest`, `dropped`, `hidden` or `conflicts` that dataset.json lists, in order."""
        listed = self.info.get("checksums")
        names = self.store.names(kind) if listed is None else (n.removeprefix(f"{kind}/") for n in listed)
        return sorted(f"{kind}/{name}" for name in names if "/" not in name)

    def columns(self, kind: str, wanted: Iterable[str]) -> list[str]:
        """Return those of the wanted columns that a table has: some are there only where a recipe asks for them."""
        import pyarrow.parquet as pq

        with self.store.open_arrow(self.files(kind)[0]) as file:
            existing = set(pq.read_schema(file).names)
        return [name for name in wanted if name in existing]

    def table(self, kind: str, columns: Iterable[str] | None = None, rows: int | None = None) -> "pa.Table":
        """Read `manifest` or `dropped`, parts in order until they have `rows`, with only the columns named."""
        files = self.files(kind)
        if not files:
            raise WorkspaceError(f"{self.store.url} lacks its {kind} tables: it was damaged. Publish a new version.")
        return read_tables(self.store, files, columns, rows)

    def read(self, shard: str, offset: int, length: int) -> bytes:
        """Return one image's bytes: a pread of its shard."""
        return self.shards.read_range(shard, offset, length)


def read_tables(
    store: Store, names: Iterable[str], columns: Iterable[str] | None = None, rows: int | None = None
) -> "pa.Table":
    """Read Parquet files of one table in order, one at least, until they have `rows`, with only the columns named."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from shared.storage.checked import read_columns

    wanted = None if columns is None else list(columns)
    tables: list[pa.Table] = []
    for name in names:
        if rows is not None and sum(table.num_rows for table in tables) >= rows:
            break
        with store.open_arrow(name) as file:
            tables.append(read_columns(pq.ParquetFile(file), wanted))
    return pa.concat_tables(tables, promote_options="permissive").combine_chunks()


def held_out(image_id: str) -> bool:
    """Tell from an image's id whether it is kept from training, to evaluate with."""
    return int(image_id[:8], 16) % HELD_OUT_SHARE == 0


def numbers(workspace: Store, name: str) -> list[int]:
    """Return the numbers of versions that are published or claimed, ascending."""
    return sorted(int(match[1]) for one in workspace.names(f"{FOLDER}/{name}") if (match := NUMBERED.fullmatch(one)))


def versions(workspace: Store, name: str) -> list[str]:
    """Return the published versions of a dataset, oldest first."""
    named = (f"v{number:04d}" for number in numbers(workspace, name))
    return [version for version in named if workspace.exists(f"{FOLDER}/{name}/{version}/dataset.json")]


def dataset_names(workspace: Store) -> list[str]:
    """Return the names of the datasets of which a version is published."""
    return [name for name in workspace.names(FOLDER) if versions(workspace, name)]


def open_version(workspace: Store, name: str, version: str | None = None) -> Published:
    """Open a version, the newest by default. Raises WorkspaceError when there is none."""
    published = versions(workspace, name)
    if not published:
        named = ", ".join(dataset_names(workspace)) or "none"
        raise WorkspaceError(
            f"Dataset {name!r} is not published in {workspace.url} (published: {named}). Run `dinoflow curate` first."
        )
    chosen = version or published[-1]
    if chosen not in published:
        raise WorkspaceError(f"Dataset {name!r} has no version {chosen!r}. Choose one of: {', '.join(published)}.")
    return Published(workspace.sub(FOLDER, name, chosen), name, chosen)
