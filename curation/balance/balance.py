"""Between the tables and balanced sampling: which images are left, their vectors part by part, and the samples."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Floats, Ints, Words
from curation.balance.hierarchy import build, default_levels, locate
from curation.balance.sampling import sample
from curation.dedup.comparable_images import ComparableImages, comparable_images
from curation.params.balance import BalanceParams
from curation.params.copies import DedupParams
from shared.catalog import CONTAMINATED, DUPLICATES
from shared.tables import Rows, with_facts


@dataclass(frozen=True)
class Remaining:
    """The vectors of the images that are left, read part by part whenever they are asked for."""

    images: ComparableImages
    items: Ints

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.images.vectors(self.items[:1]).shape[1])

    def __len__(self) -> int:
        return len(self.items)

    def chunks(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield the rows and vectors of one part after another."""
        numbers, first = self.images.rows[self.items], 0
        for part in self.images.images.output.parts:
            rows = np.flatnonzero((numbers >= first) & (numbers < first + part.rows))
            first += part.rows
            if len(rows):
                yield rows, self.take(rows)

    def take(self, rows: Ints) -> Floats:
        """Return the vectors of some rows, in their order."""
        ascending, inverse = np.unique(rows, return_inverse=True)
        return self.images.vectors(self.items[ascending])[inverse]


def sample_tables(
    corpus: tuple[Rows, Rows, Rows], contaminated: Rows, duplicates: Rows, params: BalanceParams
) -> pa.Table:
    """Return SAMPLES: every image that is left, its cluster, and whether it is taken."""
    images = comparable_images(*corpus, DedupParams())
    gone = [images.images.numbers(contaminated.table(CONTAMINATED, ["part", "row"]))]
    gone.append(images.images.numbers(duplicates.table(DUPLICATES, ["part", "row"])))
    items = np.flatnonzero(~np.isin(images.rows, np.concatenate(gone))).astype(np.int64)
    vectors, ids = Remaining(images, items), _words(images.columns.image_id[items])
    hierarchy = build(
        vectors,
        ids,
        params.levels or default_levels(len(items)),
        seed=params.seed,
        iterations=params.iterations,
        rounds=params.rounds,
        points=params.points,
    )
    clusters, distances = locate(vectors, hierarchy)
    target = params.images(len(items))
    taken = sample(hierarchy.parents, clusters, distances, ids, target, seed=params.seed, pick=params.pick)
    placed = images.places().take(items)
    table = pa.table(
        {
            "part": placed["part"],
            "row": placed["row"],
            "cluster": clusters.astype(np.int32),
            "weight": pa.nulls(len(items), pa.float32()),
            "sampled": taken,
        }
    )
    facts = {"levels": [len(level) for level in hierarchy.centroids], "images": len(items), "sampled": int(taken.sum())}
    return with_facts(table, facts)


def _words(digests: np.ndarray) -> Words:
    return np.frombuffer(b"".join(digests.tolist()), "<u8").reshape(-1, 2)
