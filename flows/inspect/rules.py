"""Rules held against one image: which it passes, how far from the limit, and what curation would say of a new file."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from curation.dedup.geometry.compare import OTHER, Comparison
from curation.dedup.verified_pairs import counts
from curation.params import CurationParams, QualityParams
from curation.params.copies import DedupParams
from curation.quality import RULES
from flows.inspect.find_image import ImageRow
from flows.report.dataset.thresholds import rules_of
from shared.catalog import IMAGES
from shared.errors import UserError, WorkFailedError

Likeness = tuple[str, float | None, float, ImageRow]
"""Reason, value, limit, and the kept image."""
Decide = Callable[[list[ImageRow] | None], dict[str, Any]]


def rule_results(recipe: dict[str, Any], image: ImageRow | None, measured: pa.Table | None) -> list[ImageRow]:
    """Return each rule of the recipe with the image's value, the limit, whether it passes and how much is to spare.

    A rule that asks a model needs the measurements, of which the published tables hold no more than the signals.
    """
    if image is None or image.get("width") is None:
        return []
    table = pa.Table.from_pylist([{key: image[key] for key in image if isinstance(image[key], int | float)}])
    rows = []
    for given in rules_of(recipe):
        kind, limit = given["kind"], given.get("threshold")
        rule = RULES.get(kind)
        if rule is None or limit is None:
            continue  # a rule of another version of dinoflow
        signal = rule.signal
        value = signal.column(table, pa.float64())[0].as_py() if signal else _model_value(recipe, kind, measured)
        if value is not None:
            spare = value - limit if rule.below else limit - value
            rows.append({"rule": kind, "value": value, "limit": limit, "passes": spare >= 0, "spare": spare})
    return rows


def _model_value(recipe: dict[str, Any], kind: str, measured: pa.Table | None) -> float | None:
    """Return what a model rule says of an image: its value when its limit is out of reach and it comes first."""
    from curation.stages import quality

    try:
        rules = CurationParams.model_validate(recipe["curation"]).quality.rules
        wanted = next(rule for rule in rules if rule.kind == kind)
        forced = wanted.model_copy(update={"threshold": math.inf if wanted.below else -math.inf})
        params = QualityParams(rules=(forced, *(rule for rule in rules if rule.kind != kind)))
        value: float | None = quality(measured, params=params)["value"][0].as_py() if measured is not None else None
    except (KeyError, ValidationError, UserError, WorkFailedError):
        return None  # the model is not here any more, or the recipe is of another version of dinoflow
    return value


def dry_run(recipe: dict[str, Any], path: Path) -> tuple[pa.Table | None, Decide | None]:
    """Measure a file as the recipe does, and return what curation would say of it once its neighbours are known.

    Both are None when the recipe cannot be followed any more: it is of another version of dinoflow, or lost a model.
    """
    from curation.stages import measure, quality

    try:
        params = CurationParams.model_validate(recipe["curation"])
    except (KeyError, ValidationError):
        return None, None
    where = os.path.abspath(path)
    row = {"uri": where, "source": "", "reader": "range", "path": where, "offset": 0, "length": os.path.getsize(where)}
    try:
        measured = measure(pa.Table.from_pylist([row], IMAGES.schema), params=params.measure)
        verdicts: ImageRow = quality(measured, params=params.quality).to_pylist()[0]
    except UserError:  # a model that the recipe names is not here any more
        return None, None
    image: ImageRow = measured.to_pylist()[0]
    return measured, lambda near: _verdict(params, image, verdicts, near)


def _verdict(params: CurationParams, image: ImageRow, quality: ImageRow, near: list[ImageRow] | None) -> dict[str, Any]:
    if image["error"]:
        return {"reason": "unreadable", "error": image["error"]}
    if quality["reason"]:
        return quality
    if near is None:
        return {"reason": None, "unknown": True}
    for reason, value, limit, like in _likenesses(params, image, near):
        return {"reason": reason, "value": value, "threshold": limit, "kept_uri": like["uri"]}
    return {"reason": None}


def _likenesses(params: CurationParams, image: ImageRow, near: list[ImageRow]) -> list[Likeness]:
    """Return how the file is a copy of a kept image, the surest way first."""
    pixels = [row for row in near if image["pixels_id"] and row["pixels_id"] == image["pixels_id"].hex()]
    likenesses: list[Likeness] = [("exact_duplicate", None, 0.0, row) for row in pixels]
    if image["detail"] < params.dedup.min_detail:
        return likenesses
    vectors = params.dedup.near
    for row in sorted((row for row in near if is_copy(row, params.dedup)), key=lambda row: -row["match"]):
        by_hash = params.dedup.perceptual.enabled and row["bits"] <= params.dedup.perceptual.distance
        reason = "perceptual_duplicate" if by_hash else "near_duplicate"
        likenesses.append((reason, row["match"], params.dedup.copy_score, row))
    if vectors.enabled and vectors.verify == "none":
        alike = sorted((row for row in near if row["cosine"] >= vectors.limit), key=lambda row: -row["cosine"])
        likenesses += [("near_duplicate", row["cosine"], vectors.limit, row) for row in alike]
    return likenesses


def is_copy(row: ImageRow, params: DedupParams) -> bool:
    """Return whether a neighbour's comparison makes it a copy under a recipe."""
    comparison = Comparison(row["match"], row["verdict"], row["orientation"]) if row.get("verdict") else OTHER
    return counts(comparison, params, params.copy_score)
