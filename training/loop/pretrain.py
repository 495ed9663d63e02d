"""Sets up a pre-training run: checks the request, builds the state, goes on from the last good checkpoint."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from shared.dataset_version import Published
from shared.errors import RecipeError
from shared.params import Compute
from shared.storage.checked_json import json_text
from training.cost.peak_flops import peak_of
from training.data.index import SampleIndex
from training.data.loader import batches, steps_of
from training.data.preview import draw_views
from training.distributed import DistributedContext, check_precision, from_leader, joined
from training.loop.bad_steps import BadSteps, BadStretchError, go_back
from training.loop.goes_on import goes_on
from training.loop.init_weights import start_from
from training.loop.online_knn import online_knn
from training.loop.optimizer import adamw
from training.loop.run_facts import facts_text, parameter_counts, run_facts
from training.loop.sigterm import StopRequest
from training.loop.train_loop import train
from training.loss.losses import Objective
from training.loss.passes import compiled_passes
from training.model.blocks import compiled
from training.model.frozen import FrozenModels
from training.model.student_teacher import initial_student, make_ema_teacher
from training.params import PretrainParams
from training.params.resolved import resolved
from training.params.shares import check_shares
from training.runs import checkpoint
from training.runs.checkpoint import State
from training.runs.run_folder import CONFIG, RunFolder
from training.weights import Weights, read_weights
from training.weights.guides.prototypes import draw_prototypes
from training.weights.guides.read import frozen_models


def pretrain(
    dataset: Published, request: PretrainParams, compute: Compute, folder: RunFolder, contents: Mapping[str, str]
) -> dict[str, Any]:
    """Train to the last step and return the run's summary. `contents` are of the weights that are taken from elsewhere.

    Raises RecipeError when the request cannot be met, WorkFailedError when too many steps in a row are not
    finite, again and again, StoppedError when asked to stop: a checkpoint is there then, and a rerun goes on from it.
    """
    with joined(compute) as context, StopRequest() as stop:
        check_precision(context.device, request.optim.precision)
        index = SampleIndex(dataset, request.seed)
        params = resolved(request, len(index))
        check_batch(params, len(index), context.world, compute.accumulate)
        last_good = from_leader(checkpoint.last_good(folder, print) if context.leads else None)
        weights = read_weights(params.start) if params.start and last_good is None else None
        params = params.placed(weights.positions if weights else folder.positions())
        state = initial_state(params, context, weights, frozen_models(params, context, folder))
        if last_good is not None:
            checkpoint.resume(folder, last_good, state)
        elif state.frozen.teacher:
            whole = replace(context, rank=0, world=1)  # each rank sees all, so that their number changes nothing
            workers = context.loader_workers(compute)
            first = batches(index, params.at(0), start=0, context=whole, workers=workers)
            draw_prototypes(state.frozen.teacher, first, params, context)
        peak = peak_of(context, params.optim.precision)
        facts = run_facts(params, len(index), context.world, compute.accumulate, peak) | parameter_counts(state.student)
        facts |= {"device": str(context.device), "torch": torch.__version__}
        if context.leads:
            print("\n".join([facts_text(facts, params), *goes_on(folder, last_good, facts)]), flush=True)
            _open_run(folder, index, request, facts, contents)
        done = folder.summary()
        if done is not None:  # nothing but its config was missing
            return {**done, "checkpoints": folder.steps()}
        if context.leads and not state.step:
            draw_views(index, params, folder.path / "views.png")
        if compute.compile:
            compile_parts(state, params)
        online = online_knn(dataset, params, context, compute)
        ceiling, times = facts["peak_images_per_second"], Counter[int]()
        while True:
            loader = steps_of(index, params, state.step, context, compute, state.order)
            bad = BadSteps(folder, index, params, context)
            try:
                return train(state, loader, params, folder, context, stop, compute.accumulate, online, ceiling, bad)
            except BadStretchError as stretch:
                why = str(stretch)
            go_back(folder, state, context, why, times)


def compile_parts(state: State, params: PretrainParams) -> None:
    """Have blocks and losses made into kernels; frozen models, weights and checkpoints stay as they are."""
    for model in (state.student, state.teacher):
        model.backbone.branches = compiled(params.model.depth, 1 + len(params.phases))
    state.objective.passes = compiled_passes()


def check_batch(params: PretrainParams, images: int, world: int, accumulate: int = 1) -> None:
    """Raise RecipeError when the batch does not fit the dataset, the processes or the micro-batches."""
    batch = params.optim.batch_size
    if images < batch:
        raise RecipeError(
            f"Pre-training needs at least one batch of images (optim.batch_size = {batch}), got {images} to train "
            f"on. Add images, or set training.optim.batch_size to {images} or less."
        )
    check_shares(params, world, accumulate)


def initial_state(
    params: PretrainParams,
    context: DistributedContext,
    weights: Weights | None = None,
    frozen: FrozenModels | None = None,
) -> State:
    """Return the state before the first step: the same weights on every rank and device."""
    frozen = frozen or FrozenModels()
    student = initial_student(params, frozen.teacher.backbone.vit.embed_dim if frozen.teacher else 0)
    if weights:
        fresh = start_from(weights, student, params)
        if context.leads:
            print(f"starts from   {weights.title}" + (f"; fresh: {', '.join(fresh)}" if fresh else ""), flush=True)
    student = student.to(context.device)
    return State(
        student=student,
        teacher=make_ema_teacher(student),
        objective=Objective(params.objective, params.crops).to(context.device),
        optimizer=adamw(student, params.optim, params.model.depth),
        scaler=torch.amp.GradScaler(context.device.type, enabled=params.optim.precision == "fp16"),
        frozen=frozen,
    )


def _open_run(
    folder: RunFolder,
    index: SampleIndex,
    request: PretrainParams,
    facts: dict[str, Any],
    contents: Mapping[str, str],
) -> None:
    """Write what the run is made with."""
    folder.path.mkdir(parents=True, exist_ok=True)
    config = {
        "params": request.model_dump(mode="json"),
        "dataset": f"{index.dataset.name} {index.dataset.version}",
        "start": "",
        **contents,
        "resolved": facts,
    }
    folder.store.write(CONFIG, json_text(config))
