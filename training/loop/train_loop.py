"""The loop over steps: take one, write it down, save now and then, stop when done or asked to."""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from shared.errors import WorkFailedError
from training.data.batch import Batch
from training.distributed import DistributedContext
from training.eval.protocols.effective_rank import effective_rank
from training.loop.data_wait import DataWait
from training.loop.metrics import MetricsLogger
from training.loop.online_knn import OnlineKnn
from training.loop.sigterm import STOPPED, StopRequest
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
) -> dict[str, Any]:
    """Step from where the state is to the end; return the run's summary. Raises as `pretrain` does.

    `ceiling` is how many images a second there would be if the devices did nothing but multiply.
    """
    steps = params.optim.steps
    wrapped = in_ddp(state.student, context, static=accumulate == 1)
    bad, summary, waiting = 0, _summary(state, params, math.nan), DataWait()
    journal_or_none = (
        MetricsLogger(folder, params, start=state.step, ceiling=ceiling) if context.leads else nullcontext()
    )
    with journal_or_none as logger:
        while state.step < steps:
            begun = time.monotonic()
            batch = next(loader).to(context.device)
            waited = time.monotonic() - begun
            report = take_step(state, wrapped, batch, params, context, stop.requested, accumulate)
            measured = {}
            if state.step % params.rank_every == 0:
                measured["teacher_effective_rank"] = effective_rank(report.teacher_cls)
            if online and online.due(state.step):
                measured |= {"knn_top1": online.top1(state.teacher), "knn_queries": len(online.queries)}
            seconds = time.monotonic() - begun
            state.seconds += seconds
            if (advice := waiting.add(seconds, waited)) and context.leads:
                print(advice, flush=True)
            if logger:
                logger.write(state.step, report, seconds, waited, measured)
            bad = 0 if report.taken else bad + 1
            if bad >= params.optim.bad_steps:
                raise WorkFailedError(_too_many_bad_steps(bad, state.step))
            done = state.step == steps
            summary = _summary(state, params, report.losses["total"]) | waiting.summary()
            summary |= logger.summary() if logger else {}
            if context.leads and (done or report.stop or state.step % params.checkpoint_every == 0):
                checkpoint.save(folder, state, params.keep_checkpoints, summary if done else None)
            if report.stop and not done:
                if context.leads:
                    print(f"stopped at step {state.step}/{steps} · saved · run it again to go on", flush=True)
                raise SystemExit(STOPPED)
    return summary | {"checkpoints": folder.steps()}


def in_ddp(student: nn.Module, context: DistributedContext, static: bool) -> nn.Module:
    """Return the student, inside DDP where there are several processes.

    A static graph exchanges gradients in the first backward pass, `no_sync` or not: not where a step has several.
    """
    if context.world == 1:
        return student
    return DistributedDataParallel(student, broadcast_buffers=False, gradient_as_bucket_view=True, static_graph=static)


def _summary(state: State, params: ResolvedParams, loss: float) -> dict[str, Any]:
    images = state.step * params.optim.batch_size
    return {
        "steps": state.step,
        "images_seen": images,
        "seconds": round(state.seconds, 3),
        "images_per_second": round(images / max(state.seconds, 1e-9), 3),
        "final_loss": loss,
        "skipped_steps": state.skipped,
    }


def _too_many_bad_steps(bad: int, step: int) -> str:
    return (
        f"Pre-training needs finite losses and gradients, got {bad} bad steps in a row up to step {step}. "
        "Lower training.optim.lr, or set training.optim.precision to bf16 or fp32."
    )
