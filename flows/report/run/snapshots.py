"""What a run's checkpoints see in a few images, laid side by side: components, attention, nearest neighbours.

Shapes: S subjects, H W patches, K components, h heads, k neighbours.
"""

from typing import Any

import numpy as np

from flows.report.kit.arrays import heat, mosaic, square
from shared.dataset_version import FOLDER, Published
from shared.storage import Store
from training.eval.visualize import pca
from training.eval.visualize.snapshot import Snapshot, read_snapshots, shares, written
from training.runs.scores import UNTRAINED

COLUMNS = 5
"""Trained checkpoints side by side, at most."""


def seen(workspace: Store, run: str, dataset: str, best: int | None) -> dict[str, Any] | None:
    """Return everything that the page shows of a run's snapshots; None where there is none yet."""
    by_model = read_snapshots(workspace.sub("runs", run))
    steps = [int(name) for name in by_model if name.isdigit()]
    if not steps:
        return None
    shown = best if best in steps else steps[-1]
    last = by_model[str(shown)]
    kept = {name: snapshot for name, snapshot in by_model.items() if snapshot.same_subjects(last)}
    beside = [name for name in kept if name == UNTRAINED or int(name) in _spread(steps, shown)]
    photos = _Photos(workspace, dataset)
    untrained = kept.get(UNTRAINED)
    return {
        "step": shown,
        "best": shown == best,
        "columns": [title(name) for name in beside],
        "components": _components(last, [kept[name] for name in beside], photos),
        "attention": _attention(last, untrained, photos),
        "heads": last.attention.shape[1],
        "patches": last.components.shape[1],
        "galleries": _galleries(last, untrained, photos),
        "labelled": bool((last.label != "").any()),
    }


def title(name: str) -> str:
    """Name a snapshot's model."""
    return f"step {int(name):,}" if name.isdigit() else "untrained"


def _spread(steps: list[int], shown: int) -> set[int]:
    """Return some steps, evenly spread, with the last and the shown one."""
    places = np.linspace(0, len(steps) - 1, min(len(steps), COLUMNS)).round().astype(int)
    chosen = {steps[place] for place in places}
    if shown not in chosen:
        chosen.remove(min(chosen - {steps[0], steps[-1]} or {steps[0]}, key=lambda step: abs(step - shown)))
    return chosen | {shown}


class _Photos:
    """The pictures of a snapshot's images, each made once."""

    def __init__(self, workspace: Store, dataset: str) -> None:
        name, _, version = dataset.partition(" ")
        self.dataset = Published(workspace.sub(FOLDER, name, version), name, version)
        self.made: dict[tuple[str, int], str | None] = {}

    def of(self, snapshot: Snapshot, place: int) -> dict[str, Any]:
        """Return the picture and the label of an image that is shown; no picture where the dataset is gone."""
        spot = str(snapshot.shard[place]), int(snapshot.offset[place])
        if spot not in self.made:
            data = self._bytes(*spot, int(snapshot.length[place]))
            self.made[spot] = square(data, int(snapshot.rotation[place]), float(snapshot.resize))
        return {"picture": self.made[spot], "label": str(snapshot.label[place])}

    def _bytes(self, shard: str, offset: int, length: int) -> bytes | None:
        try:
            return self.dataset.read(shard, offset, length)
        except OSError:
            return None


def _components(last: Snapshot, beside: list[Snapshot], photos: _Photos) -> list[dict[str, Any]]:
    """Return a row for each subject: the photo, a mosaic of each checkpoint, and the foreground's own components."""
    painted = [pca.colours(pca.aligned(snapshot.components, last.components)) for snapshot in beside]
    objects = np.where(last.foreground[..., None], pca.colours(last.objects), 0).astype(np.uint8)
    return [
        {**photos.of(last, s), "mosaics": [mosaic(one[s]) for one in painted], "objects": mosaic(objects[s])}
        for s in range(last.subjects)
    ]


def _attention(last: Snapshot, untrained: Snapshot | None, photos: _Photos) -> list[dict[str, Any]]:
    """Return a row for each subject: the photo, means over the heads, and every head of the shown checkpoint."""
    rows = []
    for s in range(last.subjects):
        means = [shares(snapshot.attention[s]).mean(axis=0) for snapshot in (untrained, last) if snapshot is not None]
        maps = [heat(written(mean, 1)) for mean in means]
        rows.append({**photos.of(last, s), "means": maps, "heads": [heat(head) for head in last.attention[s]]})
    return rows


def _galleries(last: Snapshot, untrained: Snapshot | None, photos: _Photos) -> list[dict[str, Any]]:
    """Return for each subject its neighbours by the shown checkpoint, and by the untrained model."""
    return [
        {
            **photos.of(last, s),
            "near": _near(last, s, photos),
            "before": _near(untrained, s, photos) if untrained else [],
        }
        for s in range(last.subjects)
    ]


def _near(snapshot: Snapshot, s: int, photos: _Photos) -> list[dict[str, Any]]:
    label = snapshot.label[s]
    return [
        {**photos.of(snapshot, place), "cosine": float(cosine), "same": bool(label and snapshot.label[place] == label)}
        for place, cosine in zip(snapshot.neighbours[s].tolist(), snapshot.cosine[s].tolist(), strict=True)
    ]
