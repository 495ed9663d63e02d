"""`dinoflow datasets WORKSPACE`: every published version with its counts."""

import sys
from typing import Any

from flows.commands.console import Console
from flows.inspect.workspace import existing
from shared.dataset_version import dataset_names, open_version, versions
from shared.errors import WorkspaceError


def list_datasets(workspace: str, json: bool) -> dict[str, Any]:
    """Print, and return, every published version. Raises WorkspaceError when there is none."""
    console, store = Console(sys.stderr if json else None), existing(workspace)
    names = dataset_names(store)
    if not names:
        raise WorkspaceError(f"Nothing is published in {workspace}. Run `dinoflow curate` first.")
    published = []
    for name in names:
        for version in versions(store, name):
            dataset = open_version(store, name, version)
            info, counts = dataset.info, dataset.info["counts"]
            console.say(f"{name}/{version}  {info['created']}  {counts['kept']:,} kept of {counts['indexed']:,}")
            path = dataset.store.place()
            published.append(
                {"dataset": name, "version": version, "created": info["created"], "counts": counts, "path": path}
            )
    return {"versions": published}
