"""Pinned centroids: versions in a folder of the workspace, of which the last one counts. None is ever changed.

New images move no centroid. A corpus that outgrew its buckets splits those that are too full, and keeps all others:
that is a new version. To fit anew, delete the folder. Beside a version stands how widely its buckets are searched: as
long as that reaches the recall, the chance of another sample changes nothing of what was found.
"""

from dataclasses import asdict

import numpy as np

from curation.arrays import Floats, Words
from curation.dedup.ivf.assign import Probing
from curation.dedup.ivf.centroids import Centroids, fit, grown
from shared.errors import DamagedFileError
from shared.storage import Store
from shared.storage.checked_json import json_text, read_facts


def pinned(store: Store, folder: str, points: Floats, ids: Words, rows: int, bucket_rows: int) -> str:
    """Return the file of the centroids for a corpus of so many rows, fitted or split where that is due.

    `points` [n, dim] and `ids` [n, 2] are a sample of the corpus.
    """
    names = _versions(store, folder)
    current = read_pinned(store, names[-1]) if names else None
    centroids = grown(current, points, ids, rows, bucket_rows) if current else fit(points, ids, rows, bucket_rows)
    if current is not None and np.array_equal(current.vectors, centroids.vectors):
        return names[-1]
    name = f"{folder}/v{len(names) + 1:04d}-{centroids.name}.npy"
    store.create(name, centroids.dump())
    return name


def newest(store: Store, folder: str) -> str | None:
    """Return the file of the last version; None where none was fitted."""
    names = _versions(store, folder)
    return names[-1] if names else None


def read_pinned(store: Store, name: str) -> Centroids:
    """Return centroids. Raises DamagedFileError where they are not those of their name."""
    centroids = Centroids.load(store.read(name))
    if centroids.name != name.rpartition("-")[2].removesuffix(".npy"):
        raise DamagedFileError(name, "has other bytes than were written: delete it, and centroids are fitted anew")
    return centroids


def pinned_probing(store: Store, name: str) -> Probing | None:
    """Return the probing in a file, None where there is none. Raises DamagedFileError."""
    return Probing(**read_facts(store, name)) if store.exists(name) else None


def pin_probing(store: Store, name: str, probing: Probing) -> None:
    """Commit a probing, in place of a narrower one."""
    store.write(name, json_text(asdict(probing)))


def _versions(store: Store, folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in store.names(folder) if name.endswith(".npy")]
