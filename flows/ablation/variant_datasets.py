"""The datasets of an ablation: one for each variant, without copies of the queries, and one that holds the questions.

All are made from the same measurements; only decisions are made again. A dataset is named after its content, so that
ablations share what is equal.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import stages
from flows import pipeline
from flows.ablation.ground_truth import GroundTruth
from flows.ablation.queries import choose_bank
from flows.ablation.variants import Variant
from flows.session import Session
from shared.catalog import CONTAMINATED, DECISIONS, MEASUREMENTS, VERDICTS
from shared.dataset_version import Published
from shared.params import fingerprint
from shared.tables import Output, Rows, commit_part, with_facts

SET = "the queries of an ablation"
SLUG = 40


@dataclass(frozen=True)
class Curated:
    """A variant's dataset, and which images are trained on."""

    variant: Variant
    dataset: Published
    group: np.ndarray
    selection: str
    """Names what training sees: equal for variants that keep the same images."""
    trained: np.ndarray


def curate(truth: GroundTruth, session: Session, variant: Variant, queries: np.ndarray) -> Curated:
    """Publish a variant's dataset without the queries and their copies."""
    session.outputs["index"] = truth.session.outputs["index"]
    if len(queries):
        session.outputs["decontaminate"] = _withheld(truth, session, queries)
    dataset = _published(session, f"{session.recipe.name}-{slug(variant.name)}")
    kept = dataset.table("manifest", ["image_id", "uri", "weight"])
    trained_N = np.zeros(len(truth.uri), dtype=bool)
    trained_N[truth.rows_of(kept["uri"])] = True
    selection = fingerprint(kept["image_id"].to_pylist(), kept["weight"].to_pylist())
    return Curated(variant, dataset, truth.group, selection, trained_N & ~truth.held)


def publish_test(truth: GroundTruth, queries: np.ndarray, curated: Sequence[Curated]) -> tuple[Published, np.ndarray]:
    """Publish the questions: queries, and as the bank what all variants train on. Return it, and the bank's rows."""
    by_all_N = np.logical_and.reduce([one.trained for one in curated])
    bank = choose_bank(truth.group, truth.label, by_all_N, truth.order)
    session, taken_N = truth.session, np.zeros(len(truth.uri), dtype=bool)
    taken_N[np.concatenate([queries, bank])] = True
    first, parts = 0, []
    for part in session.outputs["index"].parts:
        parts.append(commit_part(session.store, "select", _decisions(taken_N[first : first + part.rows])))
        first += part.rows
    key = fingerprint(SET, [part.name for part in parts])
    session.outputs["select"] = Output("select", key, "images", tuple(parts)).seal(session.store, {"stage": "select"})
    return _published(session, f"{session.recipe.name}-test"), bank


def slug(name: str) -> str:
    """Return a name as a part of a dataset's name."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower())[:SLUG].strip("-.")


def _published(session: Session, prefix: str) -> Published:
    """Publish under a name that holds the content: another ablation must not publish a second version of it."""
    packed = session.make(stages.pack)
    content = fingerprint([part.name for part in packed.parts])[:6]
    session.recipe = session.recipe.model_copy(update={"name": f"{prefix}-{content}"})
    return pipeline.curate(session)[0]


def _withheld(truth: GroundTruth, session: Session, queries: np.ndarray) -> Output:
    """Return what decontamination says, with the queries as one more evaluation set.

    As there, only images that are compared get a row: what cannot be decoded or fails a rule is dropped for that.
    """
    own = Rows(session.store, session.make(stages.decontaminate))
    index = Rows(session.store, session.outputs["index"])
    contaminated = own.table(CONTAMINATED, CONTAMINATED.schema.names)
    verdicts = Rows(session.store, session.make(stages.quality)).table(VERDICTS, ["reason"])
    measured = Rows(session.store, session.make(stages.measure)).table(MEASUREMENTS, ["pixels_id"])
    passed = pc.and_(pc.is_null(verdicts["reason"]), pc.is_valid(measured["pixels_id"]))
    query_of = np.full(int(truth.group.max(initial=0)) + 1, -1)
    query_of[truth.group[queries]] = queries
    query_N = query_of[truth.group]
    query_N[index.numbers(contaminated)] = -1
    rows = np.flatnonzero((query_N >= 0) & passed.to_numpy(zero_copy_only=False))
    placed = index.places(rows)
    nothing = pa.nulls(len(rows), pa.float32())
    columns = {"part": placed["part"], "row": placed["row"], "value": nothing, "threshold": nothing}
    columns |= {"kept_uri": truth.uri.take(pa.array(query_N[rows])), "set": pa.repeat(SET, len(rows))}
    columns |= {"orientation": pa.nulls(len(rows), pa.string())}
    withheld = pa.table(columns).select(CONTAMINATED.schema.names)
    table = pa.concat_tables([contaminated.cast(_plain()), withheld.cast(_plain())])
    table = table.sort_by([("part", "ascending"), ("row", "ascending")]).cast(CONTAMINATED.schema)
    part = commit_part(session.store, "decontaminate", with_facts(table, {"contaminated": {SET: len(rows)}}))
    key = fingerprint(SET, part.name)
    return Output("decontaminate", key, None, (part,)).seal(session.store, {"stage": "decontaminate"})


def _plain() -> pa.Schema:
    """Return CONTAMINATED with words as plain text."""
    words = {"set", "orientation"}
    return pa.schema(
        [pa.field(field.name, pa.string()) if field.name in words else field for field in CONTAMINATED.schema]
    )


def _decisions(taken: np.ndarray) -> pa.Table:
    """Return DECISIONS that keep what is taken, and leave out the rest."""
    nothing = {
        name: pa.nulls(len(taken), schema.type)
        for name, schema in zip(DECISIONS.schema.names, DECISIONS.schema, strict=True)
    }
    left = pa.array(~taken)
    empty = pa.nulls(len(taken), pa.string())
    why = {"stage": pc.if_else(left, "balance", empty), "reason": pc.if_else(left, "not_sampled", empty)}
    return pa.table({**nothing, **why}).cast(DECISIONS.schema)
