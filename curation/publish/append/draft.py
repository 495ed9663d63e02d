"""A version in the making. Nobody sees it before it is whole, and no two of them ever get one number.

On disk it is a folder aside that is renamed: a name that exists is never overwritten. An object store cannot rename;
there its number is claimed first, by a put that asks for no object of that name, and dataset.json is put last.
"""

import os
import shutil
import uuid
from dataclasses import dataclass
from typing import Any

from shared.dataset_version import FOLDER, SHARDS, Published, numbers
from shared.errors import WorkFailedError
from shared.storage import UNFINISHED, Store
from shared.storage.checked_json import json_text

CLAIM = "claim.json"


@dataclass(frozen=True)
class Draft:
    """The folder of a version that is not published yet."""

    workspace: Store
    name: str
    folder: str

    @classmethod
    def begin(cls, workspace: Store, name: str) -> "Draft":
        """Open an empty one. On disk, what killed publishers left is removed: the lock is held by whoever begins."""
        home = f"{FOLDER}/{name}"
        if workspace.local:
            _sweep(workspace, home)
            return cls(workspace, name, f"{home}/{UNFINISHED}{uuid.uuid4().hex[:12]}")
        while True:
            folder = f"{home}/{_next(workspace, name)}"
            if workspace.create(f"{folder}/{CLAIM}", "{}"):
                return cls(workspace, name, folder)

    @property
    def store(self) -> Store:
        """Its folder."""
        return self.workspace.sub(*self.folder.split("/"))

    def publish(self, facts: dict[str, Any]) -> Published:
        """Make the version appear, whole, under the next number, with these facts as its dataset.json.

        Raises WorkFailedError where a table that they list is not there: another publisher took this one for dead.
        """
        tables = [name for name in facts.get("checksums", ()) if not name.startswith(f"{SHARDS}/")]
        kinds = {name.partition("/")[0] for name in tables}
        existing = {f"{kind}/{name}" for kind in kinds for name in self.store.names(kind)}
        gone = [name for name in tables if name not in existing]
        if gone:
            raise WorkFailedError(
                f"Publishing needs every table that it wrote, got no {gone[0]}. Run the same command again."
            )
        version = self._renamed(facts) if self.workspace.local else self._claimed(facts)
        return Published(self.workspace.sub(FOLDER, self.name, version), self.name, version)

    def discard(self) -> None:
        """Delete it; shards stay, for the next try."""
        self.workspace.delete(self.folder)

    def _renamed(self, facts: dict[str, Any]) -> str:
        home = self.workspace.path(FOLDER, self.name)
        while True:
            version = _next(self.workspace, self.name)
            self.store.write("dataset.json", _text(facts, version))
            try:
                os.rename(self.workspace.path(self.folder), f"{home}/{version}")
            except OSError:
                if not os.path.exists(f"{home}/{version}"):
                    raise
                continue
            descriptor = os.open(home, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
            return version

    def _claimed(self, facts: dict[str, Any]) -> str:
        version = self.folder.rsplit("/", 1)[-1]
        if not self.store.create("dataset.json", _text(facts, version)):
            raise WorkFailedError(
                f"Publishing needs {self.store.url} for itself, got a dataset.json of another. Run it again."
            )
        self.store.delete(CLAIM)
        return version


def lock_name(name: str) -> str:
    """Name the lock that whoever adds a version to a dataset holds."""
    return f"dataset-{name}"


def _text(facts: dict[str, Any], version: str) -> str:
    return json_text({"name": facts["name"], "version": version, **facts})


def _next(workspace: Store, name: str) -> str:
    return f"v{max(numbers(workspace, name), default=0) + 1:04d}"


def _sweep(workspace: Store, home: str) -> None:
    for folder in (workspace.path(home), workspace.path(home, SHARDS)):
        for entry in os.scandir(folder) if os.path.isdir(folder) else ():
            if entry.name.startswith(UNFINISHED):
                away = f"{folder}/{UNFINISHED}{uuid.uuid4().hex}"
                os.rename(entry, away)  # at once: nothing half deleted can be published
                shutil.rmtree(away) if os.path.isdir(away) else os.unlink(away)
