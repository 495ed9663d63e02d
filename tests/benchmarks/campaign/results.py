"""What commands leave in a workspace, to be held against what an undisturbed one leaves."""

import json
import os
from pathlib import Path
from typing import Any

from shared.dataset_version import Published, open_version, versions
from shared.storage import Store
from tests.benchmarks.campaign.inputs import NAME
from tests.publishers import hidden, logical, members


def finished(workspace: Path) -> frozenset[str]:
    """Return the files that are there under their names: what a rerun need not make again."""
    found = set()
    for folder, folders, names in os.walk(workspace):
        folders[:] = [name for name in folders if not name.startswith(".tmp-") and name != "locks"]
        found |= {os.path.join(folder, name) for name in names if not name.startswith(".tmp-")}
    return frozenset(found)


def steps(workspace: Path) -> int:
    """Return how many steps the runs of a workspace have written down."""
    return sum(path.read_bytes().count(b"\n") for path in workspace.glob("runs/*/metrics.jsonl"))


def published(workspace: str, version: str | None = None) -> dict[str, Any]:
    """Return all that a version says, and what someone finds who reads its shards."""
    dataset = open_version(Store(workspace), NAME, version)
    return logical(dataset) | {"members": in_shards(dataset)}


def in_shards(dataset: Published) -> dict[str, bytes]:
    """Return the images of a version by id, read from its tars; those under a tombstone are not there."""
    gone = hidden(dataset)
    return {key: data for (shard, key), (data, _) in members(dataset).items() if (shard, key) not in gone}


def all_versions(workspace: str) -> list[dict[str, Any]]:
    """Return every version that is published."""
    return [published(workspace, one) for one in versions(Store(workspace), NAME)]


def trained(workspace: str) -> tuple[dict[str, Any], list[Any]]:
    """Return the tensors of the only run's last checkpoint by name, and the losses of every step."""
    import torch

    store = Store(workspace)
    (run,) = store.names("runs")
    last = [one for one in store.names(f"runs/{run}/checkpoints") if one.startswith("step-")][-1]
    with store.fetched(f"runs/{run}/checkpoints/{last}/state.pt") as path:
        whole = torch.load(path, map_location="cpu", weights_only=True)
    rows = [json.loads(line) for line in store.read(f"runs/{run}/metrics.jsonl").splitlines()]
    losses = [(row["step"], row["loss"], row["grad_norm"]) for row in rows]
    parts = {name: whole[name] for name in ("student", "teacher", "objective", "optimizer", "step", "order")}
    return dict(_leaves(parts)), losses


def _leaves(value: Any, name: str = "") -> Any:
    """Yield (path, bytes or value) of everything in nested dictionaries and lists."""
    import torch

    if isinstance(value, dict):
        for key in value:
            yield from _leaves(value[key], f"{name}/{key}")
    elif isinstance(value, list | tuple):
        for key, one in enumerate(value):
            yield from _leaves(one, f"{name}/{key}")
    elif isinstance(value, torch.Tensor):
        yield name, (str(value.dtype), tuple(value.shape), value.numpy().tobytes())
    else:
        yield name, value
