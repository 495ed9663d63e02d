"""The star rule as a map: edges are cut into batches of whole components, and each batch is a piece of work."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Ints
from curation.dedup.components import components
from curation.dedup.star_components import EXACT_KIND, Drops, StarEdges, batches, star_rule
from shared.stage_runner import Rounds
from shared.storage import Store
from shared.storage.sorted_file import open_sorted, write_sorted

BATCH_EDGES = 250_000
"""Edges in a batch, at most twice as many; a component that has more is a batch of its own."""


@dataclass(frozen=True)
class StarBatch:
    """A batch of a file of edges; `output` is where its drops go."""

    workspace: str
    edges: str
    number: int
    output: str


def drops_of(edges: StarEdges, barred: Ints, rounds: Rounds) -> tuple[Drops, dict[str, Any]]:
    """Return what the star rule drops, and facts about the components.

    Those are: how many, the images of the largest, and the most pictures in one: of images with equal pixels only the
    best counts, as a picture that was uploaded 300,000 times joins nothing that is unlike. `barred` are the numbers of
    images that are never kept.
    """
    if not len(edges.worse):
        return star_rule(edges), {"components": 0, "largest_component": 0, "most_pictures": 0}
    nodes, firsts = components(np.stack([edges.worse, edges.better], axis=1))
    batch, _ = batches(firsts[np.searchsorted(nodes, edges.worse)], BATCH_EDGES)
    columns = {name: getattr(edges, name) for name in ("worse", "better", "kind", "score")}
    table = pa.table({"batch": batch, **columns, "barred": np.isin(edges.better, barred)})
    name = f"{rounds.folder}/edges.parquet"
    write_sorted(rounds.store, name, table, "batch")
    work = [
        StarBatch(rounds.store.url, name, i, f"{rounds.folder}/drops-{i:06d}.parquet") for i in range(batch.max() + 1)
    ]
    drops = [_read(rounds.store, each) for each in sorted(rounds.map(star_batch, work))]
    whole = Drops(*(np.concatenate([getattr(each, n) for each in drops]) for n in ("item", "kept", "kind", "score")))
    _, component, sizes = np.unique(firsts, return_inverse=True, return_counts=True)
    pictures = np.bincount(component[~np.isin(nodes, edges.worse[edges.kind == EXACT_KIND])])
    facts = {"components": len(sizes), "largest_component": int(sizes.max()), "most_pictures": int(pictures.max())}
    return whole.take(np.argsort(whole.item)), facts


def star_batch(work: StarBatch) -> str:
    """Apply the star rule to a batch; return the name of the file of its drops."""
    store = Store(work.workspace)
    with open_sorted(store, work.edges) as file:
        rows = file.span(work.number, work.number + 1)
    edges = StarEdges(*(rows[name].to_numpy() for name in ("worse", "better", "kind", "score")))
    drops = star_rule(edges, np.unique(edges.better[rows["barred"].to_numpy()]))
    columns = {name: getattr(drops, name) for name in ("item", "kept", "kind", "score")}
    write_sorted(store, work.output, pa.table(columns), "item")
    return work.output


def _read(store: Store, name: str) -> Drops:
    with open_sorted(store, name) as file:
        rows = file.span(0, None)
    return Drops(*(rows[column].to_numpy() for column in ("item", "kept", "kind", "score")))
