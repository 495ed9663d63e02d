"""Sets up a pre-training run: checks the request, builds the state, goes on from the last good checkpoint."""

import json
from typing import Any

import torch

from shared.errors import RecipeError
from shared.params import Compute
from shared.published import Published
from training import checkpoint
from training.blocks import compiled
from training.checkpoint import State
from training.corpus import Corpus
from training.data import batches
from training.device import Place, check_precision, from_leader, joined
from training.loop import train
from training.objective import Objective
from training.optim import adamw
from training.params import PretrainParams
from training.preview import draw_views
from training.runs import RunFolder
from training.schedules import peak_lr
from training.stopping import StopRequest
from training.student import Student, teacher_of


def pretrain(dataset: Published, params: PretrainParams, compute: Compute, folder: RunFolder) -> dict[str, Any]:
    """Train to the last step and return the run's summary.

    Raises RecipeError when the request cannot be met, WorkFailedError when too many steps in a row are not
    finite, SystemExit(143) when asked to stop: a checkpoint is there then, and a rerun goes on from it.
    """
    with joined(compute) as place, StopRequest() as stop:
        check_precision(place.device, params.optim.precision)
        corpus = Corpus(dataset, params.seed)
        check_batch(params, len(corpus), place.world)
        state = initial_state(params, place)
        found = from_leader(checkpoint.last_good(folder) if place.leads else None)
        if found is not None:
            checkpoint.resume(folder, found, state)
        if place.leads:
            _open_run(folder, corpus, params, place, state)
        for model in (state.student, state.teacher) if compute.compile else ():
            model.backbone.branches = compiled(params.model.depth)
        workers = place.loader_workers(compute)
        on_device = place.augments(compute)
        loader = batches(corpus, params, start=state.step, place=place, workers=workers, on_device=on_device)
        return train(state, loader, params, folder, place, stop)


def check_batch(params: PretrainParams, images: int, world: int) -> None:
    """Raise RecipeError when the batch does not fit the dataset or the processes."""
    batch, group = params.optim.batch_size, params.objective.koleo_group
    if images < batch:
        raise RecipeError(
            f"Pre-training needs at least one batch of images (optim.batch_size = {batch}), got {images} to train "
            f"on. Add images, or set training.optim.batch_size to {images} or less."
        )
    if batch % world:
        raise RecipeError(
            f"optim.batch_size must be a multiple of the {world} processes, got {batch}. "
            f"Set it to {(batch // world + 1) * world}, or change compute.processes."
        )
    if (params.objective.koleo_weight or params.model.drop_path) and (batch // world) % group:
        raise RecipeError(
            f"Each of {world} processes needs a multiple of objective.koleo_group = {group} images, got "
            f"{batch // world}. Set koleo_group to a divisor of {batch // world}, or koleo_weight and drop_path to 0."
        )


def initial_state(params: PretrainParams, place: Place) -> State:
    """Return the state before the first step: the same weights on every rank and device."""
    student = initial_student(params).to(place.device)
    return State(
        student=student,
        teacher=teacher_of(student),
        objective=Objective(params.objective, params.crops).to(place.device),
        optimizer=adamw(student, params.optim, params.model.depth),
        scaler=torch.amp.GradScaler(place.device.type, enabled=params.optim.precision == "fp16"),
    )


def initial_student(params: PretrainParams) -> Student:
    """Return the untrained student of a run, a function of its seed; on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        return Student(params)


def _open_run(folder: RunFolder, corpus: Corpus, params: PretrainParams, place: Place, state: State) -> None:
    """Write what the run is made with, and a picture of its views."""
    folder.path.mkdir(parents=True, exist_ok=True)
    config = {
        "params": params.model_dump(mode="json"),
        "dataset": f"{corpus.dataset.name} {corpus.dataset.version}",
        "resolved": {
            "device": str(place.device),
            "processes": place.world,
            "peak_lr": peak_lr(params.optim),
            "training_images": len(corpus),
            "epochs": params.optim.steps * params.optim.batch_size / len(corpus),
            "backbone_parameters": sum(p.numel() for p in state.student.backbone.parameters()),
            "torch": torch.__version__,
        },
    }
    folder.store.write("config.json", json.dumps(config, indent=1))
    if state.step == 0:
        draw_views(corpus, params, folder.path / "views.png")
