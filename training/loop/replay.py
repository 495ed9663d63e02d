"""A past step once more: its batch from manifest and seed, its losses from the checkpoint before it."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.dataset_version import open_version
from shared.errors import UserError, WorkspaceError
from shared.params import Compute
from shared.storage import Store
from training.data.batch import Batch
from training.data.index import SampleIndex
from training.data.loader import steps_of
from training.data.preview import draw_batch
from training.distributed import DistributedContext, joined
from training.loop.ddp import in_ddp
from training.loop.pretrain import initial_state
from training.loop.train_step import StepReport, take_step
from training.params import PretrainParams
from training.params.resolved import ResolvedParams, resolved
from training.runs import checkpoint
from training.runs.checkpoint import State
from training.runs.run_folder import RunFolder
from training.weights import read_weights
from training.weights.guides.read import frozen_models

TOLERANCE = 1e-2
"""Greatest relative difference on another machine, device or number of processes, where sums are rounded otherwise."""
MetricsRows = dict[int, dict[str, Any]]
"""Step → its line of metrics.jsonl."""


def replay(folder: RunFolder, step: int, compute: Compute) -> dict[str, Any]:
    """Take a step (counted from 1) once more; return its images and its numbers beside those recorded.

    Draws views and masks of its first images. On the same CPU, with as many threads and one process, numbers are equal
    to the bit. Steps since the checkpoint before it, or since the start, are taken again too. Raises UserError where
    the run never took the step.
    """
    config, rows = folder.config(), _rows(folder.path / "metrics.jsonl")
    if config is None or step not in rows:
        taken = f"steps 1 to {max(rows)}" if rows else "none"
        raise UserError(f"Replay needs a step that {folder.path.name} has taken, got {step}. Choose one of: {taken}.")
    name, version = config["dataset"].rsplit(" ", 1)
    workspace = folder.home.url.rsplit("/", 2)[0] if folder.home else str(folder.path.parent.parent)
    dataset = open_version(Store(workspace), name, version)
    request = PretrainParams.model_validate(config["params"])
    with joined(compute) as context:
        index = SampleIndex(dataset, request.seed)
        params = resolved(request, len(index)).placed(folder.positions())
        state = _state_before(folder, step, params, context)
        begun, wrapped = state.step, in_ddp(state.student, context, static=True)
        for batch in _batches(index, params, rows, range(state.step, step), context, compute):
            report = take_step(state, wrapped, batch, params, context, False, config["resolved"]["accumulate"])
    picture = folder.path / "replay" / f"step-{step}.png"
    picture.parent.mkdir(exist_ok=True)
    draw_batch(batch, params.at(step - 1), picture)
    first = (rows[step].get("order", 0) * params.optim.steps + step - 1) * params.optim.batch_size
    refs = index.refs(list(range(first, first + params.optim.batch_size)))
    return {
        "run": folder.path.name,
        "step": step,
        "from_step": begun,
        "images": index.uris([ref.row for ref in refs]),
        "masked_patches": int(batch.mask.sum()),
        **_compared(rows[step], report),
        "picture": str(picture),
    }


def _state_before(folder: RunFolder, step: int, params: ResolvedParams, context: DistributedContext) -> State:
    """Return the state of the last good checkpoint before a step, or that of the run's start."""
    earlier = [one for one in folder.steps() if one < step and folder.fault(one) is None]
    weights = read_weights(params.start) if params.start and not earlier else None
    state = initial_state(params, context, weights, frozen_models(params, context, folder))
    if earlier:
        checkpoint.resume(folder, earlier[-1], state)
    return state


def _batches(
    index: SampleIndex,
    params: ResolvedParams,
    rows: MetricsRows,
    span: range,
    context: DistributedContext,
    compute: Compute,
) -> Iterator[Batch]:
    """Yield the batches of steps (counted from 0), each in the order of samples that was in force."""
    order, loader = -1, iter(())  # type: Any, Any
    for step in span:
        if step + 1 not in rows:
            raise WorkspaceError(
                f"Replay needs every step in metrics.jsonl, got none for {step + 1}. Restore the file."
            )
        if order != rows[step + 1].get("order", 0):
            order = rows[step + 1].get("order", 0)
            loader = steps_of(index, params, step, context, compute, order)
        yield next(loader).to(context.device)


def _compared(recorded: dict[str, Any], report: StepReport) -> dict[str, Any]:
    """Return the numbers that tell a step from others, recorded and replayed, and how far they are apart."""
    again = {f"loss_{name}" if name != "total" else "loss": value for name, value in report.losses.items()}
    again |= {"grad_norm": report.grad_norm}
    numbers = {name: {"recorded": recorded[name], "replayed": value} for name, value in again.items()}
    apart = max(_difference(**pair) for pair in numbers.values())
    return {"numbers": numbers, "difference": apart, "equal": apart == 0, "within_tolerance": apart <= TOLERANCE}


def _difference(recorded: float, replayed: float) -> float:
    """Return the relative difference; none where both are not finite."""
    if recorded == replayed or not (math.isfinite(recorded) or math.isfinite(replayed)):
        return 0.0
    return abs(recorded - replayed) / max(abs(recorded), abs(replayed))


def _rows(path: Path) -> MetricsRows:
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return {row["step"]: row for row in rows}
