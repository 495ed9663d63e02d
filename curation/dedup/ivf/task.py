"""What a search is, and what travels of it to a worker: names of files, in under a kilobyte."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from curation.arrays import Ints
from curation.dedup.ivf.assign import Probing
from shared.params import fingerprint
from shared.stage_runner.name_lists import list_names, listed
from shared.storage import Store

HOME = Probing(0.0)
"""No bucket is visited but a vector's own."""
KEPT = 4
"""Permutations of so many searches a process keeps after it read them."""


@dataclass(frozen=True)
class NearSearch:
    """What is sought, and how."""

    cosine: float
    """The least cosine of a neighbour."""
    count: int
    """DirectedPairs of an image, at most."""
    recall: float = 0.99
    bucket_rows: int = 1000
    """Rows of a bucket; of a corpus of more than its square the root of that (`sized`)."""
    most_probes: int = 64
    turns: tuple[Any, ...] = ()
    """Permutations of components under which an image is compared too."""
    thumbnails: bool = False
    """Whether thumbnails are compared, too."""
    likely: float = -1.0
    """The cosine from which they are not asked."""
    parts_per_file: int = 8
    file_images: int = 2_000
    """Images of such a file, at least about, where parts hold fewer."""
    rows_per_task: int = 64_000
    """Rows stored in the buckets of a task."""
    tasks: int = 16
    """Tasks into which even few parts and buckets are spread, as far as there are so many."""
    spans: int = 64
    """Files of pairs, at most."""
    span_images: int = 50_000
    """Images of such a file, at least on average: of fewer, files cost more than rows."""

    def sized(self, rows: int) -> "NearSearch":
        """Return the search for a corpus of so many rows.

        A vector is compared with rows / bucket_rows centroids, and with bucket_rows in each bucket that it visits: with
        the root, both grow alike.
        """
        return replace(self, bucket_rows=max(self.bucket_rows, math.isqrt(rows)))


@dataclass(frozen=True)
class Task:
    """One piece of work: it names files, and carries none of their rows."""

    url: str
    folder: str
    search: NearSearch
    turns: str = ""
    """The file of the permutations under which vectors are compared too."""
    listed: str = ""
    """The file that lists the files that are read."""
    doubtful: str = ""
    """The one that lists those of pairs in doubt."""
    among: str = ""
    """The one that lists those of rows for buckets near which others are sought."""
    output: str = ""
    low: int = 0
    high: int = 0
    probing: Probing = HOME

    @classmethod
    def of(cls, store: Store, folder: str, plan: NearSearch) -> "Task":
        """Return a task of a search, whose permutations are written to the folder."""
        sink = io.BytesIO()
        np.save(sink, np.array([turn.tolist() for turn in plan.turns], np.int64))
        name = f"{folder}/turns-{fingerprint(sink.getvalue().hex())}.npy"
        store.write(name, sink.getvalue())
        return cls(store.url, folder, replace(plan, turns=()), name)

    @property
    def store(self) -> Store:
        """The storage of all files."""
        return Store(self.url)

    def reading(self, names: Sequence[str], doubts: Sequence[str] = (), few: Sequence[str] = ()) -> "Task":
        """Return the task that reads these files: a list of them is written, that many tasks may share."""
        listed_, doubtful, among = (
            list_names(self.store, self.folder, files) if files else "" for files in (names, doubts, few)
        )
        return replace(self, listed=listed_, doubtful=doubtful, among=among)

    @property
    def names(self) -> tuple[str, ...]:
        """Files that are read."""
        return listed(self.url, self.listed)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Files of pairs in doubt."""
        return listed(self.url, self.doubtful)

    @property
    def few(self) -> tuple[str, ...]:
        """Files of rows for buckets of the few images near which others are sought; none where all are written."""
        return listed(self.url, self.among)

    @property
    def permutations(self) -> tuple[Ints, ...]:
        """The permutations of components under which vectors are compared too."""
        return _permutations(self.url, self.turns)


@lru_cache(KEPT)
def _permutations(url: str, name: str) -> tuple[Ints, ...]:
    return tuple(np.load(io.BytesIO(Store(url).read(name)))) if name else ()
