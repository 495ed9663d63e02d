"""Rules held against one image: which it passes, how far from the limit, and what curation would say of a new file."""

import math
import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from curation.dedup.geometry.compare import OTHER, Comparison
from curation.dedup.verified_pairs import counts
from curation.params import CurationParams, QualityParams
from curation.params.copies import DedupParams
from flows.inspect.find_image import Row
from flows.report.dataset.thresholds import SIGNAL_OF, column, rules_of
from shared.catalog import IMAGES
from shared.errors import UserError, WorkFailedError

ABOVE = ("nsfw",)
"""Model rules that drop what lies above their limit."""
Verdict = Callable[[list[Row] | None], dict[str, Any]]


def judged(recipe: dict[str, Any], image: Row | None, measured: pa.Table | None) -> list[Row]:
    """Return each rule of the recipe with the image's value, the limit, whether it passes and how much is to spare.

    A rule that asks a model needs the measurements, of which the published tables hold no more than the signals.
    """
    if image is None or image.get("width") is None:
        return []
    table = pa.Table.from_pylist([{key: image[key] for key in image if isinstance(image[key], int | float)}])
    told = []
    for rule in rules_of(recipe):
        kind, limit = rule["kind"], rule.get("threshold")
        signal, below = SIGNAL_OF.get(kind, ("", kind not in ABOVE))
        value = column(table, signal)[0].as_py() if signal else _asked(recipe, kind, measured)
        if value is not None and limit is not None:
            spare = value - limit if below else limit - value
            told.append({"rule": kind, "value": value, "limit": limit, "passes": spare >= 0, "spare": spare})
    return told


def _asked(recipe: dict[str, Any], kind: str, measured: pa.Table | None) -> float | None:
    """Return what a model rule says of an image: its value when its limit is out of reach and it comes first."""
    from curation.stages import quality

    try:
        rules = CurationParams.model_validate(recipe["curation"]).quality.rules
        mine = next(rule for rule in rules if rule.kind == kind)
        forced = mine.model_copy(update={"threshold": math.inf if mine.below else -math.inf})
        params = QualityParams(rules=(forced, *(rule for rule in rules if rule.kind != kind)))
        value: float | None = quality(measured, params=params)["value"][0].as_py() if measured is not None else None
    except (KeyError, ValidationError, UserError, WorkFailedError):
        return None  # the model is not here any more, or the recipe is of another version of dinoflow
    return value


def trial(recipe: dict[str, Any], path: str) -> tuple[pa.Table | None, Verdict | None]:
    """Measure a file as the recipe does, and return what curation would say of it once its neighbours are known.

    Both are None when the recipe cannot be followed any more: it is of another version of dinoflow, or lost a model.
    """
    from curation.stages import measure, quality

    try:
        params = CurationParams.model_validate(recipe["curation"])
    except (KeyError, ValidationError):
        return None, None
    where = os.path.abspath(path.removeprefix("file://"))
    row = {"uri": where, "source": "", "reader": "range", "path": where, "offset": 0, "length": os.path.getsize(where)}
    try:
        measured = measure(pa.Table.from_pylist([row], IMAGES.schema), params=params.measure)
        verdicts: Row = quality(measured, params=params.quality).to_pylist()[0]
    except UserError:  # a model that the recipe names is not here any more
        return None, None
    image: Row = measured.to_pylist()[0]
    return measured, lambda near: _verdict(params, image, verdicts, near)


def _verdict(params: CurationParams, image: Row, quality: Row, near: list[Row] | None) -> dict[str, Any]:
    if image["error"]:
        return {"reason": "unreadable", "error": image["error"]}
    if quality["reason"]:
        return quality
    if near is None:
        return {"reason": None, "unknown": True}
    for reason, value, limit, like in _likenesses(params, image, near):
        return {"reason": reason, "value": value, "threshold": limit, "kept_uri": like["uri"]}
    return {"reason": None}


def _likenesses(params: CurationParams, image: Row, near: list[Row]) -> list[tuple[str, float | None, float, Row]]:
    """Return how the file is a copy of a kept image, the surest way first."""
    pixels = [row for row in near if image["pixels_id"] and row["pixels_id"] == image["pixels_id"].hex()]
    found: list[tuple[str, float | None, float, Row]] = [("exact_duplicate", None, 0.0, row) for row in pixels]
    if image["detail"] < params.dedup.min_detail:
        return found
    vectors = params.dedup.near
    for row in sorted((row for row in near if is_copy(row, params.dedup)), key=lambda row: -row["match"]):
        by_hash = params.dedup.perceptual.enabled and row["bits"] <= params.dedup.perceptual.distance
        reason = "perceptual_duplicate" if by_hash else "near_duplicate"
        found.append((reason, row["match"], params.dedup.copy_score, row))
    if vectors.enabled and vectors.verify == "none":
        alike = sorted((row for row in near if row["cosine"] >= vectors.limit), key=lambda row: -row["cosine"])
        found += [("near_duplicate", row["cosine"], vectors.limit, row) for row in alike]
    return found


def is_copy(row: Row, params: DedupParams) -> bool:
    """Return whether a neighbour's comparison makes it a copy under a recipe."""
    comparison = Comparison(row["match"], row["verdict"], row["orientation"]) if row.get("verdict") else OTHER
    return counts(comparison, params, params.copy_score)
