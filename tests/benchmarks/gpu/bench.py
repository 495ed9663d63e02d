"""Makes and times the step of one line: ours on weights that are made once for a case, or dinov2's."""

import argparse
import gc
import statistics
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tests.benchmarks.dinov2_step import dinov2_step
from tests.benchmarks.gpu.kernels import kernel_table
from tests.benchmarks.gpu.sizes import SMALL_IMAGES, Case, Row, params_of
from tests.benchmarks.training_step import batch_of
from training.cost.step_memory import step_memory
from training.data.batch import Batch
from training.distributed import DistributedContext, gathered
from training.loop.ddp import in_ddp
from training.loop.pretrain import compile_parts, initial_state
from training.loop.train_step import take_step
from training.loss.cross_entropy import COLUMNS
from training.model.blocks import PLAIN
from training.params import PretrainParams
from training.runs.checkpoint import State

SPARE = 0.9
"""Share of the memory that may be filled by estimate; libraries and fragments take of the rest."""
NO_ROOM = "out of memory"
Step = Callable[[], Any]


class Measured(NamedTuple):
    """What a line came to."""

    seconds: float
    gib: float
    first: float
    """Seconds until the first step was done: with kernels to be compiled, mostly that."""


class Bench:
    """One case: its weights are made once for all lines of ours."""

    def __init__(self, case: Case, context: DistributedContext, asked: argparse.Namespace) -> None:
        self.case, self.context, self.asked = case, context, asked
        self.state: State | None = None

    def step(self, row: Row, params: PretrainParams, batch: Batch) -> Step:
        """Return the step of a line."""
        if row.dinov2:
            self.state = None
            free(self.context)
            checkout, device = Path(self.asked.dinov2), self.context.device
            return dinov2_step(checkout, batch, params, half_weights=row.half_weights, device=device)
        if self.state is None:
            with self.context.device:
                self.state = initial_state(params, self.context)
        state = self.state
        for model in (state.student, state.teacher):
            model.backbone.branches = PLAIN
            model.backbone.activation_checkpointing = row.recompute
        state.objective.passes = None
        if row.compiles:
            compile_parts(state, params)
        state.objective.params = params.objective
        state.scaler = torch.amp.GradScaler(self.context.device.type, enabled=params.optim.precision == "fp16")
        wrapped = in_ddp(state.student, self.context, static=True)
        return lambda: take_step(state, wrapped, batch, params, self.context, False)

    def images(self, row: Row) -> int:
        """Return how many images a process gets: by estimate as many as fit where a line does not say."""
        if self.asked.small:
            return SMALL_IMAGES
        if row.images or self.context.device.type != "cuda":
            return row.images or SMALL_IMAGES
        free(self.context)
        memory = torch.cuda.mem_get_info()[1] * SPARE
        weights = 560e6  # of the 450M and its heads

        def fits(images: int) -> bool:
            params = params_of(self.case, row, images, self.context.world, small=False)
            return step_memory(params, int(weights), images, COLUMNS).total < memory

        return max([images for images in range(4, 260, 4) if fits(images)], default=4)

    def measure(self, row: Row, images: int) -> tuple[PretrainParams, Measured | str]:
        """Return the params of a line and its numbers, or why there are none: one must not cost the others."""
        torch._dynamo.reset()
        params = params_of(self.case, row, images, self.context.world, small=self.asked.small)
        batch = batch_of(images, params).to(self.context.device)
        try:
            step = self.step(row, params, batch)
            measured = timed(step, self.context, self.asked.steps)
            if self.asked.profile and row.way == "compiled":
                self.profile(step, row)
            return params, measured
        except torch.OutOfMemoryError:
            if self.state:
                self.state.optimizer.zero_grad()
            free(self.context)
            return params, NO_ROOM
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            self.state = None
            return params, f"failed: {type(error).__name__}"

    def profile(self, step: Step, row: Row) -> None:
        """Append to a file where the time of a line's step goes."""
        with suppress(RuntimeError, AttributeError), Path(self.asked.profile).open("a") as file:
            file.write(kernel_table(step, f"{self.case.size}, {row.way}"))


def free(context: DistributedContext) -> None:
    """Give memory that nobody holds back to the device."""
    gc.collect()
    if context.device.type == "cuda":
        torch.cuda.empty_cache()


def timed(step: Step, context: DistributedContext, steps: int) -> Measured:
    """Return the median seconds of a step, of the slowest process, and the peak memory in GiB."""
    on_gpu = context.device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    begun = time.perf_counter()
    step()
    first = time.perf_counter() - begun
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds, before = [], clock()
    for _ in range(2 + steps):  # a step waits for the device once, so that one begins when another ends
        step()
        now = clock()
        seconds.append(now - before)
        before = now
    median = max(gathered(statistics.median(seconds[-steps:]), context.world))
    return Measured(median, torch.cuda.max_memory_allocated() / 2**30 if on_gpu else 0.0, first)
