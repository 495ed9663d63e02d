"""What is known of every image before any rule is applied: its class, its copies, and whether its id holds it out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import stages
from curation.dedup.verified_pairs import copies as verified_copies
from flows.ablation.queries import Array, choose_queries, copy_groups
from flows.ablation.variants import Load
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.catalog import DUPLICATES, IMAGES, MEASUREMENTS
from shared.dataset_version import held_out
from shared.tables import Rows
from training.data.published_images import UNLABELLED

Open = Callable[[Recipe], Session]
"""Gives a session for a recipe, in the workspace of the ablation."""


@dataclass(frozen=True)
class Known:
    """What is known of all N indexed images before any rule is applied."""

    session: Session
    """Of a curation without rules and balance, which found all copies."""
    uri: pa.Array
    label: Array
    """Number of the class, UNLABELLED where there is none."""
    group: Array
    """Copies of one another have one number."""
    able: Array
    """Whether it decodes and is the best of its copies."""
    held: Array
    """Whether the hash of its id keeps it from training."""
    order: Array
    """Rows by image id."""

    def rows_of(self, uris: pa.ChunkedArray) -> Array:
        """Return the rows of these uris."""
        return _rows(self.uri, uris)

    def queries(self) -> Array:
        """Return the rows of the images that are asked about."""
        return choose_queries(self.group, self.label, self.able & self.held, self.order)


def know(open_session: Open, load: Load, base: Session) -> Known:
    """Find every copy in what the baseline's session measured: no rule, no balance, all comparisons on."""
    session = open_session(load(_settings(base.recipe)))
    for stage in (stages.index, stages.measure):
        session.outputs[stage.name] = base.make(stage)
    index, measured = (Rows(session.store, session.outputs[name]) for name in ("index", "measure"))
    images, told = index.table(IMAGES, ["uri", "label"]), measured.table(MEASUREMENTS, ["image_id", "pixels_id"])
    uri, label, ids = images["uri"].combine_chunks(), images["label"].cast(pa.string()), told["image_id"].to_pylist()
    copies = Rows(session.store, session.make(stages.dedup)).table(DUPLICATES, ["part", "row", "kept_uri"])
    copied = index.numbers(copies)
    best = np.ones(len(ids), dtype=bool)
    best[copied] = False
    pairs = [np.stack([copied, _rows(uri, copies["kept_uri"])], axis=1), _verified(session, uri)]
    return Known(
        session=session,
        uri=uri,
        label=pc.fill_null(pc.index_in(label, value_set=pc.unique(label).drop_null().sort()), UNLABELLED).to_numpy(),
        group=copy_groups(len(ids), np.concatenate(pairs)),
        able=best & pc.is_valid(told["pixels_id"]).to_numpy(),
        held=np.array([bool(i) and held_out(i.hex()) for i in ids], dtype=bool),
        order=np.array(sorted(range(len(ids)), key=lambda row: (ids[row] or b"", row)), dtype=np.int64),
    )


def _settings(recipe: Recipe) -> list[str]:
    """Return what makes a recipe find all copies and drop nothing else; what was measured must be enough for it."""
    near = recipe.curation.dedup.near
    settings = [
        "curation.quality.rules=[]",
        "curation.balance.enabled=false",
        "curation.dedup.perceptual.enabled=true",
        f"curation.dedup.near.candidates.layout={str(near.layout).lower()}",
        "curation.dedup.near.enabled=true",
    ]
    if near.verify == "none":  # look-alikes are no copies
        settings += ["curation.dedup.near.verify=geometric", "curation.dedup.near.threshold=null"]
    return settings


def _verified(session: Session, uri: pa.Array) -> Array:
    """Return the rows of all pairs that geometry calls copies: dedup names but one of an image's originals."""
    dedup = session.recipe.curation.dedup
    pairs = verified_copies(Rows(session.store, session.make(stages.verify)), dedup, dedup.copy_score)
    pairs = pairs.filter(pc.is_null(pairs["set"]))
    return np.stack([_rows(uri, pairs[name]) for name in ("uri", "other_uri")], axis=1)


def _rows(uri: pa.Array, wanted: pa.ChunkedArray) -> Array:
    found: Array = pc.index_in(wanted.cast(pa.string()), value_set=uri).to_numpy().astype(np.int64)
    return found
