"""The loop over steps: take one, write it down, save now and then, stop when done or asked to."""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from shared.errors import StoppedError
from training.data.batch import Batch
from training.distributed import DistributedContext, from_leader, gathered
from training.eval.protocols.effective_rank import effective_rank
from training.loop.bad_steps import BadSteps, BadStretchError
from training.loop.data_wait import DataWait
from training.loop.ddp import in_ddp
from training.loop.metrics import MetricsLogger
from training.loop.online_knn import OnlineKnn
from training.loop.sigterm import StopRequest
from training.loop.train_step import take_step
from training.params.resolved import ResolvedParams
from training.runs import checkpoint
from training.runs.checkpoint import State
from training.runs.run_folder import RunFolder


def train(
    state: State,
    loader: Iterator[Batch],
    params: ResolvedParams,
    folder: RunFolder,
    context: DistributedContext,
    stop: StopRequest,
    accumulate: int,
    online: OnlineKnn | None,
    ceiling: float,
    bad: BadSteps,
) -> dict[str, Any]:
    """Step from where the state is to the end; return the run's summary. Raises as `pretrain` does.

    `ceiling` is how many images a second there would be if the devices did nothing but multiply.
    """
    steps = params.optim.steps
    wrapped = in_ddp(state.student, context, static=accumulate == 1)
    summary, waiting = _summary(state, params, math.nan), DataWait()
    journal_or_none = (
        MetricsLogger(folder, params, start=state.step, ceiling=ceiling) if context.leads else nullcontext()
    )
    with journal_or_none as logger:
        while state.step < steps:
            begun = time.monotonic()
            context.begins("images", state.step + 1)
            batch = next(loader).to(context.device)
            waited = time.monotonic() - begun
            context.begins("step", state.step + 1)
            report = take_step(state, wrapped, batch, params, context, stop.requested, accumulate)
            measured: dict[str, float] = {"order": state.order} if state.order else {}
            if report.taken and state.step % params.rank_every == 0:
                measured["teacher_effective_rank"] = effective_rank(report.teacher_cls)
            if report.taken and online and online.due(state.step):
                measured |= {"knn_top1": online.top1(state.teacher), "knn_queries": len(online.queries)}
            seconds = time.monotonic() - begun
            state.seconds += seconds
            if (advice := waiting.add(seconds, waited)) and context.leads:
                print(advice, flush=True)
            if logger:
                logger.write(state.step, report, seconds, waited, measured)
            bad.add(state, report)
            done = state.step == steps
            summary = _summary(state, params, report.losses["total"]) | waiting.summary()
            summary |= logger.summary() if logger else {}
            if done:
                summary["damaged_images"] = sum(gathered(bad.index.damaged, context.world))
            if done or report.stop or state.step % params.checkpoint_every == 0:
                _save(folder, state, params, context, bad.in_a_row, summary if done else None, done or report.stop)
            if report.stop and not done:
                from_leader(None)  # a rank that left before the checkpoint is written would end the others
                line = f"stopped at step {state.step}/{steps} · saved · run it again to go on"
                if context.leads:
                    print(line, flush=True)
                raise StoppedError(line)
    return summary | {"checkpoints": folder.steps()}


def _save(
    folder: RunFolder,
    state: State,
    params: ResolvedParams,
    context: DistributedContext,
    bad_in_a_row: int,
    summary: dict[str, Any] | None,
    leaving: bool,
) -> None:
    """Write a checkpoint, good or bad; who leaves after it waits until it is where the run belongs.

    Raises BadStretchError where the run ends with weights that have diverged.
    """
    context.begins("checkpoint", state.step)
    fault = state.divergence
    if summary and fault:
        raise BadStretchError(f"Pre-training needs weights that stay small, got others in the last step: {fault}")
    if not summary and not fault and bad_in_a_row:
        fault = f"it was made after {bad_in_a_row} steps in a row that were left out"
    if context.leads:
        checkpoint.save(folder, state, params.keep_checkpoints, summary, every=params.keep_every, bad=fault)
        if leaving and folder.uploads:
            folder.uploads.settle()


def _summary(state: State, params: ResolvedParams, loss: float) -> dict[str, Any]:
    images = state.step * params.optim.batch_size
    return {
        "steps": state.step,
        "images_seen": images,
        "seconds": round(state.seconds, 3),
        "images_per_second": round(images / max(state.seconds, 1e-9), 3),
        "final_loss": loss,
        "skipped_steps": state.skipped,
        "times_gone_back": state.order,
    }
