"""Any models on any labelled sets: each evaluation whose need a set meets, and a note for each that is left out."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from shared.errors import RecipeError
from shared.launch.progress import Meter, OnProgress, silent
from shared.params import Compute
from training.data.shuffle import subsample
from training.distributed import DistributedContext
from training.eval.backbone import FeatureExtractor
from training.eval.crops import CropSize
from training.eval.features import ExtractedFeatures, Readout, extract
from training.eval.inputs import CopyFeatures, ImageFeatures, LabelledFeatures, OmittedError, PatchFeatures, ScoreRow
from training.eval.params import EvaluateParams
from training.eval.pixel_baseline import raw_pixels
from training.eval.protocols import Evaluation
from training.eval.sets.base import Needs
from training.eval.sets.labelled import Labelled
from training.runs.scores import PIXELS

SEEN_TWICE = 500
"""Images of which another view is taken, at most: their mean is known to some hundredths then."""
WORDS = {"cls": "CLS", "patch_mean": "patch mean", "cls+patch_mean": "CLS and patch mean"}


@dataclass
class SetScores:
    """Scores of models on one set, and what was left out."""

    set: str
    scores: dict[str, list[ScoreRow]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def score_models(
    given: Mapping[str, Readout],
    sets: Sequence[Labelled],
    params: EvaluateParams,
    place: DistributedContext,
    compute: Compute,
    seed: int = 0,
    report: OnProgress = silent,
) -> Iterator[SetScores]:
    """Yield the scores on each set of every model and, where the params ask for baselines, of raw pixels.

    Models of one image size share a pass over the pixels; `report` gets how many images have passed. Raises
    RecipeError for a size that a model lacks.
    """
    by_size: dict[int, dict[str, Readout]] = defaultdict(dict)
    for name, reading in given.items():
        by_size[_size(reading.model, params)][name] = reading
    first = next(iter(by_size))
    if params.baselines:
        patch = min(reading.model.patch_size for reading in by_size[first].values())
        by_size[first][PIXELS] = Readout(raw_pixels(first, patch), 1, "cls")
    chosen = [_chosen(labelled, params, seed) for labelled in sets]
    images = len(by_size) * sum(len(bank) + len(queries) for bank, queries, _ in chosen)
    precision = place.inference_precision(params.precision)
    meter = Meter("evaluate", images, report, every=1.0)
    for labelled, (bank, queries, limits) in zip(sets, chosen, strict=True):
        one = SetScores(labelled.name)
        for size, readings in by_size.items():
            cut = CropSize(size, params.resize, params.batch_size)
            features, mask_BHW = extract(
                labelled.images,
                np.concatenate([bank, queries]),
                readings,
                place,
                cut,
                workers=place.loader_workers(compute),
                masks=labelled.masks,
                again=bank[_seen_twice(len(bank))] if params.needs_second_view else None,
                precision=precision,
                report=lambda count: meter.add(count * place.world),
            )
            for name, extracted in features.items():
                inputs = _inputs(labelled, bank, queries, extracted, mask_BHW)
                scores, lacking = all_scores(params.evaluations, inputs)
                protocol = _protocol(name, readings[name], labelled, cut) | limits | {"precision": precision}
                one.scores[name] = [{**score, "protocol": score["protocol"] | protocol} for score in scores]
                one.notes += [note for note in lacking if note not in one.notes]
        one.scores = {name: one.scores[name] for name in (*given, PIXELS) if name in one.scores}
        yield one
    meter.end()


def _size(model: FeatureExtractor, params: EvaluateParams) -> int:
    size, patch = params.image_size or model.usual_size, model.patch_size
    if size % patch:
        raise RecipeError(
            f"evaluation.image_size must be a multiple of {model.title}'s patch size {patch}, got {size}. "
            f"Set it to {size // patch * patch or patch}, or to 0 for each model's own size."
        )
    return size


def read_by(params: EvaluateParams, model: FeatureExtractor) -> Readout:
    """Return how a model is read. Raises RecipeError for a layer that it lacks."""
    if params.layer > model.depth:
        raise RecipeError(
            f"evaluation.layer must be at most the {model.depth} blocks of {model.title}, got {params.layer}. "
            "Set it to 0 for each model's last."
        )
    return Readout(model, params.layer or model.depth, params.features)


def _chosen(labelled: Labelled, params: EvaluateParams, seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Return the rows of the bank and the queries, at most so many of each, and what the protocol says of it."""
    limits = {"bank": params.bank_limit, "queries": params.query_limit}
    if labelled.masks is not None:
        limits = {name: min(limit, params.mask_limit) for name, limit in limits.items()}
    drawn_of, chosen = {}, []
    for name, rows in (("bank", labelled.bank), ("queries", labelled.queries)):
        limit = limits[name]
        if len(rows) > limit:
            drawn_of[f"{name}_drawn"] = f"{limit:,} of {len(rows):,} images, evenly"
        chosen.append(subsample(rows, limit, seed))
    return chosen[0], chosen[1], drawn_of


def _protocol(name: str, reading: Readout, labelled: Labelled, cut: CropSize) -> dict[str, Any]:
    words = "16×16 pixels" if name == PIXELS else WORDS[reading.pooling]
    protocol: dict[str, Any] = {"image_size": cut.size, "resize": cut.resize, "features": words}
    if labelled.masks is not None:
        protocol["features"] = "colour and place of each patch" if name == PIXELS else "patches"
    if reading.model.positions:
        protocol["positions"] = "as trained" if cut.size == reading.model.size else reading.model.positions
    if reading.block < reading.model.depth:
        protocol["layer"] = reading.block
    return protocol | ({"split": labelled.split} if labelled.split else {})


def _inputs(
    labelled: Labelled,
    bank: np.ndarray,
    queries: np.ndarray,
    extracted: ExtractedFeatures,
    mask_BHW: torch.Tensor | None,
) -> dict[Needs, Any]:
    count = len(bank)
    again = torch.from_numpy(_seen_twice(count))
    inputs: dict[Needs, Any] = {"images": ImageFeatures(extracted.pooled[:count], extracted.again, again)}
    if labelled.has("labels"):
        bank_label_B, query_label_Q = (torch.from_numpy(labelled.label[rows]).long() for rows in (bank, queries))
        inputs["labels"] = LabelledFeatures(
            extracted.pooled[:count], bank_label_B, extracted.pooled[count:], query_label_Q, labelled.classes
        )
    if extracted.patches is not None and mask_BHW is not None:
        parts = extracted.patches[:count], mask_BHW[:count], extracted.patches[count:], mask_BHW[count:]
        inputs["masks"] = PatchFeatures(*parts, labelled.classes)
    if labelled.has("copies"):
        copies_P2, ignored_I2 = (torch.from_numpy(_among(pairs, bank)) for pairs in (labelled.copies, labelled.ignored))
        inputs["copies"] = CopyFeatures(extracted.pooled[:count], copies_P2, ignored_I2)
    return inputs


def _seen_twice(count: int) -> np.ndarray:
    """Return the places of the images that are seen in a second view, evenly from the first on."""
    return np.unique(np.linspace(0, count - 1, min(count, SEEN_TWICE), dtype=np.int64))


def _among(pairs_P2: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the pairs whose images were both drawn, as places among the drawn rows, which ascend."""
    kept_P2 = pairs_P2[np.isin(pairs_P2, rows).all(axis=1)]
    return np.searchsorted(rows, kept_P2)


def all_scores(evaluations: Iterable[Evaluation], inputs: Mapping[Needs, Any]) -> tuple[list[ScoreRow], list[str]]:
    """Return the scores, and for each evaluation that was left out a sentence that says why."""
    scores: list[ScoreRow] = []
    notes: list[str] = []
    for evaluation in evaluations:
        try:
            if evaluation.needs not in inputs:
                raise OmittedError(f"needs {evaluation.needs}")
            scores += evaluation.scores(inputs[evaluation.needs])
        except OmittedError as lack:
            notes.append(f"{evaluation.kind} was left out: it {lack}")
    return scores, notes
