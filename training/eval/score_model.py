"""Any models on any labelled sets: each evaluation whose need a set meets, and a note for each that is left out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from shared.errors import RecipeError
from shared.launch.progress import Meter, OnProgress, silent
from shared.params import Compute
from training.data.shuffle import drawn
from training.distributed import Place
from training.eval.backbone import Frozen
from training.eval.crops import Cut
from training.eval.features import Features, Reading, extract
from training.eval.inputs import Score, SeenCopies, SeenImages, SeenLabels, SeenMasks
from training.eval.params import EvaluateParams
from training.eval.pixel_baseline import raw_pixels
from training.eval.scores import all_scores
from training.eval.sets.labelled import Labelled, Needs
from training.runs.scores import PIXELS

WORDS = {"cls": "CLS", "patch_mean": "patch mean", "cls+patch_mean": "CLS and patch mean"}


@dataclass
class Judged:
    """Scores of models on one set, and what was left out."""

    set: str
    scores: dict[str, list[Score]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def judged(
    given: Mapping[str, Reading],
    sets: Sequence[Labelled],
    params: EvaluateParams,
    place: Place,
    compute: Compute,
    seed: int = 0,
    report: OnProgress = silent,
) -> Iterator[Judged]:
    """Yield the scores on each set of every model and, where the params ask for baselines, of raw pixels.

    Models of one image size share a pass over the pixels; `report` gets how many images have passed. Raises
    RecipeError for a size that a model lacks.
    """
    by_size: dict[int, dict[str, Reading]] = defaultdict(dict)
    for name, reading in given.items():
        by_size[_size(reading.model, params)][name] = reading
    first = next(iter(by_size))
    if params.baselines:
        patch = min(reading.model.patch_size for reading in by_size[first].values())
        by_size[first][PIXELS] = Reading(raw_pixels(first, patch), 1, "cls")
    chosen = [_chosen(labelled, params, seed) for labelled in sets]
    images = len(by_size) * sum(len(bank) + len(queries) for bank, queries, _ in chosen)
    meter = Meter("evaluate", images, report, every=1.0)
    for labelled, (bank, queries, limits) in zip(sets, chosen, strict=True):
        one = Judged(labelled.name)
        for size, readings in by_size.items():
            cut = Cut(size, params.resize, params.batch_size)
            features, mask_BHW = extract(
                labelled.images,
                np.concatenate([bank, queries]),
                readings,
                place,
                cut,
                workers=place.loader_workers(compute),
                masks=labelled.masks,
                again=params.looks_again,
                report=lambda count: meter.add(count * place.world),
            )
            for name, found in features.items():
                seen = _seen(labelled, bank, queries, found, mask_BHW)
                scores, lacking = all_scores(params.evaluations, seen)
                protocol = _protocol(name, readings[name], labelled, cut) | limits
                one.scores[name] = [{**score, "protocol": score["protocol"] | protocol} for score in scores]
                one.notes += [note for note in lacking if note not in one.notes]
        one.scores = {name: one.scores[name] for name in (*given, PIXELS) if name in one.scores}
        yield one
    meter.end()


def _size(model: Frozen, params: EvaluateParams) -> int:
    size, patch = params.image_size or model.usual_size, model.patch_size
    if size % patch:
        raise RecipeError(
            f"evaluation.image_size must be a multiple of {model.title}'s patch size {patch}, got {size}. "
            f"Set it to {size // patch * patch or patch}, or to 0 for each model's own size."
        )
    return size


def read_by(params: EvaluateParams, model: Frozen) -> Reading:
    """Return how a model is read. Raises RecipeError for a layer that it lacks."""
    if params.layer > model.depth:
        raise RecipeError(
            f"evaluation.layer must be at most the {model.depth} blocks of {model.title}, got {params.layer}. "
            "Set it to 0 for each model's last."
        )
    return Reading(model, params.layer or model.depth, params.features)


def _chosen(labelled: Labelled, params: EvaluateParams, seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Return the rows of the bank and the queries, at most so many of each, and what the protocol says of it."""
    limits = {"bank": params.bank_limit, "queries": params.query_limit}
    if labelled.masks is not None:
        limits = {name: min(limit, params.mask_limit) for name, limit in limits.items()}
    told, chosen = {}, []
    for name, rows in (("bank", labelled.bank), ("queries", labelled.queries)):
        limit = limits[name]
        if len(rows) > limit:
            told[f"{name}_drawn"] = f"{limit:,} of {len(rows):,} images, evenly"
        chosen.append(drawn(rows, limit, seed))
    return chosen[0], chosen[1], told


def _protocol(name: str, reading: Reading, labelled: Labelled, cut: Cut) -> dict[str, Any]:
    words = "16×16 pixels" if name == PIXELS else WORDS[reading.pooling]
    told: dict[str, Any] = {"image_size": cut.size, "resize": cut.resize, "features": words}
    if labelled.masks is not None:
        told["features"] = "colour and place of each patch" if name == PIXELS else "patches"
    if reading.block < reading.model.depth:
        told["layer"] = reading.block
    return told | ({"split": labelled.split} if labelled.split else {})


def _seen(
    labelled: Labelled, bank: np.ndarray, queries: np.ndarray, found: Features, mask_BHW: torch.Tensor | None
) -> dict[Needs, Any]:
    count = len(bank)
    again = None if found.again is None else found.again[:count]
    seen: dict[Needs, Any] = {"images": SeenImages(found.pooled[:count], again)}
    if labelled.has("labels"):
        bank_label_B, query_label_Q = (torch.from_numpy(labelled.label[rows]).long() for rows in (bank, queries))
        seen["labels"] = SeenLabels(
            found.pooled[:count], bank_label_B, found.pooled[count:], query_label_Q, labelled.classes
        )
    if found.patches is not None and mask_BHW is not None:
        parts = found.patches[:count], mask_BHW[:count], found.patches[count:], mask_BHW[count:]
        seen["masks"] = SeenMasks(*parts, labelled.classes)
    if labelled.has("copies"):
        copies_P2, ignored_I2 = (torch.from_numpy(_among(pairs, bank)) for pairs in (labelled.copies, labelled.ignored))
        seen["copies"] = SeenCopies(found.pooled[:count], copies_P2, ignored_I2)
    return seen


def _among(pairs_P2: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the pairs whose images were both drawn, as places among the drawn rows, which ascend."""
    kept_P2 = pairs_P2[np.isin(pairs_P2, rows).all(axis=1)]
    return np.searchsorted(rows, kept_P2)
