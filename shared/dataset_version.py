"""A published dataset version, as its readers see it: the only meeting place of curation and training."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.errors import WorkspaceError
from shared.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "datasets"
HELD_OUT_SHARE = 10
"""One image in so many is kept from training where a recipe names no evaluation set."""


@dataclass(frozen=True)
class Published:
    """One immutable version: `dataset.json`, `manifest/`, `dropped/`, `shards/`."""

    store: Store
    name: str
    version: str

    @cached_property
    def info(self) -> dict[str, Any]:
        """The contents of dataset.json."""
        facts: dict[str, Any] = json.loads(self.store.read("dataset.json"))
        return facts

    def table(self, kind: str, columns: Iterable[str] | None = None, rows: int | None = None) -> "pa.Table":
        """Read `manifest` or `dropped`, parts in order until they have `rows`, with only the columns named."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = [f"{kind}/{name}" for name in self.store.names(kind)]
        wanted = None if columns is None else list(columns)
        tables: list[pa.Table] = []
        for name in names:
            if rows is not None and sum(table.num_rows for table in tables) >= rows:
                break
            with self.store.open_arrow(name) as file:
                tables.append(pq.read_table(file, columns=wanted))
        if not tables:
            raise WorkspaceError(f"{self.store.url} lacks its {kind} tables: it was damaged. Publish a new version.")
        return pa.concat_tables(tables, promote_options="permissive").combine_chunks()

    def read(self, shard: str, offset: int, length: int) -> bytes:
        """Return one image's bytes: a pread of its shard."""
        return self.store.read_range(f"shards/{shard}", offset, length)


def held_out(image_id: str) -> bool:
    """Tell from an image's id whether it is kept from training, to evaluate with."""
    return int(image_id[:8], 16) % HELD_OUT_SHARE == 0


def versions(workspace: Store, name: str) -> list[str]:
    """Return the published versions of a dataset, oldest first."""
    names = workspace.names(f"{FOLDER}/{name}")
    return [version for version in names if workspace.exists(f"{FOLDER}/{name}/{version}/dataset.json")]


def open_version(workspace: Store, name: str, version: str | None = None) -> Published:
    """Open a version, the newest by default. Raises WorkspaceError when there is none."""
    published = versions(workspace, name)
    if not published:
        named = ", ".join(workspace.names(FOLDER)) or "none"
        raise WorkspaceError(
            f"Dataset {name!r} is not published in {workspace.url} (published: {named}). Run `dinoflow curate` first."
        )
    chosen = version or published[-1]
    if chosen not in published:
        raise WorkspaceError(f"Dataset {name!r} has no version {chosen!r}. Choose one of: {', '.join(published)}.")
    return Published(workspace.sub(FOLDER, name, chosen), name, chosen)
