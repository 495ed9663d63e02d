"""Between the tables and balanced sampling: which images are left, what they are, and how often each counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Doubles, Floats, Ints, Words
from curation.arrays.draws import words
from curation.arrays.vectors import Vectors
from curation.balance.density import ByDensity
from curation.balance.evenness import evenness
from curation.balance.first_clusters import first_clusters
from curation.balance.hierarchy import Hierarchy, build, locate
from curation.balance.remaining import Remaining
from curation.balance.sampling import Allotment, ByLevels, sample
from curation.balance.strata import strata_of
from curation.dedup.comparable_images import comparable_images
from curation.params.balance import BalanceParams
from curation.params.copies import DedupParams
from shared.catalog import CONTAMINATED, DUPLICATES
from shared.tables import Rows, with_facts


@dataclass(frozen=True)
class Clustering:
    """The cluster [n] of each image, the squared distance [n] to its centroid, and what clusters give."""

    clusters: Ints
    distances: Floats
    allotment: Allotment
    levels: tuple[int, ...]
    """Clusters on each level, the finest first."""


def sample_tables(
    corpus: tuple[Rows, Rows, Rows], contaminated: Rows, duplicates: Rows, params: BalanceParams
) -> pa.Table:
    """Return SAMPLES: every image that is left, its kind, whether it is taken, and its weight where it has one."""
    images = comparable_images(*corpus, DedupParams())
    gone = [images.images.numbers(contaminated.table(CONTAMINATED, ["part", "row"]))]
    gone.append(images.images.numbers(duplicates.table(DUPLICATES, ["part", "row"])))
    items = np.flatnonzero(~np.isin(images.rows, np.concatenate(gone))).astype(np.int64)
    vectors, ids = Remaining(images, items), words(images.ids_of_files(items))
    clustering = clustered(vectors, ids, params)
    named = (pc.unique(part["source"].cast(pa.string())).to_pylist() for part in images.images.tables(["source"]))
    names = list(dict.fromkeys(name for some in named for name in some))
    shares = shared_out(clustering, ids, images.column("source", items), names, params)
    sizes = np.bincount(clustering.clusters, minlength=clustering.levels[0])
    kinds = clustering.allotment.kinds(sizes)[clustering.clusters]
    placed, weighted = images.places(items), params.how == "weight"
    table = pa.table(
        {
            "part": placed["part"],
            "row": placed["row"],
            "cluster": kinds.astype(np.int32),
            "weight": pa.array(shares, pa.float32()) if weighted else pa.nulls(len(items), pa.float32()),
            "sampled": shares > 0,
        }
    )
    facts = {
        "how": params.how,
        "levels": list(clustering.levels),
        "kinds": len(np.unique(kinds)),
        "images": len(items),
        "sampled": int((shares > 0).sum()),
        "epoch": round(float(shares.sum())),
        "evenness": _evenness(images.column("label", items), kinds, shares, params),
    }
    return with_facts(table, facts)


def clustered(vectors: Vectors, ids: Words, params: BalanceParams) -> Clustering:
    """Cluster the images on the given levels, or on one, of which it is measured what is of one kind."""
    hierarchy = _by_params(vectors, ids, params) if params.levels else first_clusters(vectors, ids, params.seed)
    clusters, distances = locate(vectors, hierarchy)
    sizes = np.bincount(clusters, minlength=len(hierarchy.centroids[0]))
    allotment = ByLevels(hierarchy.parents) if params.levels else ByDensity.measured(hierarchy.centroids[0], sizes)
    return Clustering(clusters, distances, allotment, tuple(len(level) for level in hierarchy.centroids))


def _by_params(vectors: Vectors, ids: Words, params: BalanceParams) -> Hierarchy:
    return build(
        vectors,
        ids,
        params.levels,
        seed=params.seed,
        iterations=params.iterations,
        rounds=params.rounds,
        points=params.points,
    )


def shared_out(
    clustering: Clustering, ids: Words, sources: pa.ChunkedArray, names: list[str], params: BalanceParams
) -> Doubles:
    """Return how often each image [n] counts: 0 or 1 where images are sampled, its weight where they are weighted."""
    shares = np.zeros(len(ids))
    for stratum in strata_of(sources, names, params):
        if not len(stratum.rows):
            continue
        clusters = clustering.clusters[stratum.rows]
        sizes = np.bincount(clusters, minlength=clustering.levels[0])
        if params.how == "weight":
            most = params.heaviest * stratum.target / len(clusters)
            shares[stratum.rows] = clustering.allotment.weights(sizes, stratum.target, most)[clusters]
            continue
        quotas = clustering.allotment.quotas(sizes, stratum.target, params.seed)
        distances = clustering.distances[stratum.rows]
        shares[stratum.rows] = sample(
            clusters, distances, ids[stratum.rows], quotas, seed=params.seed, pick=params.pick
        )
    return shares


def _evenness(labels: pa.ChunkedArray, kinds: Ints, shares: Doubles, params: BalanceParams) -> dict[str, Any] | None:
    """Return how even the images got, over their labels where at least two are among them, else over their kinds."""
    drawn, encoded = params.images(len(shares)), pc.index_in(labels, value_set=pc.unique(labels).drop_null())
    for over, classes in (("labels", pc.fill_null(encoded, -1).to_numpy().astype(np.int64)), ("kinds", kinds)):
        facts = evenness(classes, shares, drawn, params.seed)
        if facts:
            return {"over": over} | facts
    return None
