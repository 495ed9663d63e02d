"""What every image is before any rule is applied: its class, its copies, and whether its id holds it out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import stages
from curation.dedup.verified_pairs import copies as verified_copies
from flows.ablation.queries import choose_queries, copy_groups
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
class GroundTruth:
    """What all N indexed images are, before any rule is applied."""

    session: Session
    """Of a curation without rules and balance, which found all copies."""
    uri: pa.Array
    label: np.ndarray
    """Number of the class, UNLABELLED where there is none."""
    group: np.ndarray
    """Copies of one another have one number."""
    able: np.ndarray
    """Whether it decodes and is the best of its copies."""
    held: np.ndarray
    """Whether the hash of its id keeps it from training."""
    order: np.ndarray
    """Rows by image id."""

    def rows_of(self, uris: pa.ChunkedArray) -> np.ndarray:
        """Return the rows of these uris."""
        return _rows(self.uri, uris)

    def queries(self) -> np.ndarray:
        """Return the rows of the images that are asked about."""
        return choose_queries(self.group, self.label, self.able & self.held, self.order)


def find_ground_truth(open_session: Open, load: Load, base: Session) -> GroundTruth:
    """Find every copy in what the baseline's session measured: no rule, no balance, all comparisons on."""
    session = open_session(load(_settings(base.recipe)))
    for stage in (stages.index, stages.measure):
        session.outputs[stage.name] = base.make(stage)
    index, measured = (Rows(session.store, session.outputs[name]) for name in ("index", "measure"))
    images = index.table(IMAGES, ["uri", "label"])
    digests = measured.table(MEASUREMENTS, ["image_id", "pixels_id"])
    uri, label, ids = images["uri"].combine_chunks(), images["label"].cast(pa.string()), digests["image_id"].to_pylist()
    copies = Rows(session.store, session.make(stages.dedup)).table(DUPLICATES, ["part", "row", "kept_uri"])
    copy_rows = index.numbers(copies)
    best = np.ones(len(ids), dtype=bool)
    best[copy_rows] = False
    pairs = [np.stack([copy_rows, _rows(uri, copies["kept_uri"])], axis=1), _verified(session, uri)]
    return GroundTruth(
        session=session,
        uri=uri,
        label=pc.fill_null(pc.index_in(label, value_set=pc.unique(label).drop_null().sort()), UNLABELLED).to_numpy(),
        group=copy_groups(len(ids), np.concatenate(pairs)),
        able=best & pc.is_valid(digests["pixels_id"]).to_numpy(),
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


def _verified(session: Session, uri: pa.Array) -> np.ndarray:
    """Return the rows of all pairs that geometry calls copies: dedup names but one of an image's originals."""
    dedup = session.recipe.curation.dedup
    pairs = verified_copies(Rows(session.store, session.make(stages.verify)), dedup, dedup.copy_score)
    pairs = pairs.filter(pc.is_null(pairs["set"]))
    return np.stack([_rows(uri, pairs[name]) for name in ("uri", "other_uri")], axis=1)


def _rows(uri: pa.Array, wanted: pa.ChunkedArray) -> np.ndarray:
    rows: np.ndarray = pc.index_in(wanted.cast(pa.string()), value_set=uri).to_numpy().astype(np.int64)
    return rows
