"""Scores checkpoints of a run beside two baselines: the same model untrained, and 16×16 pixels.

The teacher is scored. Where the dataset has labels, held-out images are the queries and the labelled training
images the bank; where it has none, only what needs no labels can be told.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shared.errors import RecipeError
from shared.params import Compute
from shared.published import Published
from training import checkpoint
from training.best import mark_best
from training.device import Place, joined
from training.evals.features import Model, extract, pixel_features
from training.evals.params import EvaluateParams
from training.evals.scores import all_scores
from training.evals.seen import Needs, Score, SeenImages, SeenLabels
from training.images import UNLABELLED, Images, load_images
from training.model import Backbone
from training.order import Permutation
from training.params import PretrainParams
from training.pictures.sitting import Sitting
from training.pretraining import initial_student
from training.runs import RunFolder, ScoreFolder
from training.student import Student

UNTRAINED, PIXELS = "random_init", "pixels"


def evaluate(
    dataset: Published,
    params: EvaluateParams,
    compute: Compute,
    folder: RunFolder,
    scores: ScoreFolder,
    trained: PretrainParams,
    steps: list[int],
) -> None:
    """Score the checkpoints of these steps and write a file for each. Raises RecipeError for a wrong size."""
    size = _image_size(params, trained)
    with joined(compute) as place:
        bank, queries = evaluation_images(dataset, params, trained.seed)
        backbones = {str(step): found for step in steps if (found := _teacher(folder, step, trained, place))}
        known = scores.baselines() if params.baselines else {}
        baselines: dict[str, Model] = {}
        if params.baselines and not known:
            backbones[UNTRAINED] = initial_student(trained).backbone.eval().to(place.device)
            baselines = {UNTRAINED: _cls(backbones[UNTRAINED]), PIXELS: pixel_features}
        models = {name: _cls(backbone) for name, backbone in backbones.items()} | baselines
        features = _features(bank, queries, models, params, size, place, compute)
        told, notes = _measured(bank, queries, features, params, size)
        known |= {name: told[name] for name in baselines}
        note = " · ".join(notes) or None
        for step in steps if place.leads else []:
            if str(step) not in backbones:
                print(f"step {step} is gone: training has dropped its checkpoint", flush=True)
                continue
            got = told[str(step)]
            facts = {
                "dataset": f"{dataset.name} {dataset.version}",
                "scores": got,
                "baselines": known,
                "note": note,
            }
            scores.write(step, facts)
            line = " · ".join(f"{s['evaluation']} {s['metric']} {s['value']:.3f}" for s in got)
            print(f"evaluated step {step} · {line}" + (f" · {note}" if note else ""), flush=True)
        if place.leads:
            mark_best(folder, scores)
            if params.pictures:
                sitting = Sitting.choose(bank, queries, params.pictures, params.resize)
                for name, backbone in backbones.items():
                    sitting.album(backbone, *features[name]).write(folder.store, name)


def evaluation_images(dataset: Published, params: EvaluateParams, seed: int) -> tuple[Images, Images]:
    """Return bank and queries: labelled training and held-out images; any images and none without labels."""
    bank, queries = load_images(dataset, "training"), load_images(dataset, "held out")
    if bank.classes:
        bank, queries = (images.take(images.label != UNLABELLED) for images in (bank, queries))
    return _sample(bank, params.bank_limit, seed), _sample(queries, params.query_limit, seed)


def _sample(images: Images, limit: int, seed: int) -> Images:
    if len(images) <= limit:
        return images
    return images.take(np.sort(Permutation(len(images), (seed, limit)).at(np.arange(limit))))


def _image_size(params: EvaluateParams, trained: PretrainParams) -> int:
    size, patch = params.image_size or trained.crops.large_size, trained.model.patch_size
    if size % patch:
        raise RecipeError(
            f"evaluation.image_size must be a multiple of the run's patch size {patch}, got {size}. "
            f"Set it to {size // patch * patch or patch}, or to 0 for the size of the large crops."
        )
    return size


def _cls(backbone: nn.Module) -> Model:
    return lambda images_BCHW: backbone(images_BCHW).cls


def _teacher(folder: RunFolder, step: int, trained: PretrainParams, place: Place) -> Backbone | None:
    """Return a checkpoint's teacher, or None where training has dropped the checkpoint meanwhile."""
    whole = checkpoint.read_if_there(folder, step)
    if whole is None:
        return None
    student = Student(trained)
    student.load_state_dict(whole["teacher"])
    return student.backbone.eval().to(place.device)


Features = dict[str, tuple[Tensor, Tensor]]
"""Name of a model → its bank_BD and queries_QD."""


def _features(
    bank: Images,
    queries: Images,
    models: dict[str, Model],
    params: EvaluateParams,
    size: int,
    place: Place,
    compute: Compute,
) -> Features:
    settings: dict[str, Any] = {"size": size, "resize": params.resize, "batch_size": params.batch_size}
    workers = place.loader_workers(compute)
    of_bank = extract(bank, models, place, **settings, workers=workers) if models else {}
    of_queries = extract(queries, models, place, **settings, workers=workers) if models and len(queries) else {}
    return {name: (bank_BD, of_queries.get(name, bank_BD[:0])) for name, bank_BD in of_bank.items()}


def _measured(
    bank: Images, queries: Images, features: Features, params: EvaluateParams, size: int
) -> tuple[dict[str, list[Score]], list[str]]:
    query_label_Q, bank_label_B = (torch.from_numpy(images.label).long() for images in (queries, bank))
    told, notes = {}, dict[str, None]()
    for name, (bank_BD, queries_QD) in features.items():
        seen: dict[Needs, Any] = {"images": SeenImages(bank_BD)}
        if len(queries):
            classes = tuple(bank.classes)
            seen["labels"] = SeenLabels(bank_BD, bank_label_B, queries_QD, query_label_Q, classes)
        told[name], lacking = all_scores(params.evaluations, seen)
        notes |= dict.fromkeys(lacking)
        for score in told[name]:
            score["protocol"] |= {
                "image_size": size,
                "resize": params.resize,
                "features": "16×16 pixels" if name == PIXELS else "CLS",
            }
    return told, list(notes)
