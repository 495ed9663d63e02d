"""One training step on GPUs: images/s, memory and MFU, plain, compiled, with checkpointing, and dinov2's.

    python tests/benchmarks/gpu/steps.py [vit-s16 vit-l14 vit-450m vit-450m-literal] [--steps 20] [--dinov2 FOLDER]
    torchrun --nproc-per-node 8 tests/benchmarks/gpu/steps.py vit-l14
    python tests/benchmarks/gpu/steps.py --small

It needs only what `training` needs: torch 2.11 or newer, torchvision, timm, numpy, pyarrow, Pillow, pydantic, OpenCV
and safetensors. `--dinov2` needs a checkout of https://github.com/facebookresearch/dinov2 and PyYAML; its step gets the
same crops and masks (one process only). All tensors lie on the device before. Recipes and batches are in sizes.py.

A line is the median of the steps after some that warm up. MFU is of what is computed, without what drop path skips
and without what is computed twice; "nominal" counts what drop path skips, as published shares mostly do. With
`--small`, models of three narrow blocks show that the script works, on a CPU too, and nothing else.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch

from shared.params import Compute
from tests.benchmarks.dinov2_step import dinov2_step
from tests.benchmarks.gpu.kernels import kernel_table
from tests.benchmarks.gpu.sizes import CASES, SMALL_IMAGES, Case, Row, params_of
from tests.benchmarks.training_step import batch_of, processor
from training.cost.peak_flops import measured_peak, peak_of
from training.cost.step_flops import step_flops
from training.cost.step_memory import step_memory
from training.data.batch import Batch
from training.distributed import DistributedContext, gathered, joined
from training.loop.pretrain import initial_state
from training.loop.train_loop import in_ddp
from training.loop.train_step import take_step
from training.loss.cross_entropy import COLUMNS
from training.model.blocks import PLAIN, compiled
from training.params import PretrainParams
from training.runs.checkpoint import State

SPARE = 0.9
"""Share of the memory that may be filled by estimate; libraries and fragments take of the rest."""
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
            model.backbone.branches = compiled(params.model.depth) if row.compiles else PLAIN
            model.backbone.activation_checkpointing = row.recompute
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

    def measure(self, row: Row, images: int) -> tuple[PretrainParams, Measured | None]:
        """Return the params of a line and its numbers, or None where memory did not suffice."""
        torch._dynamo.reset()
        params = params_of(self.case, row, images, self.context.world, small=self.asked.small)
        batch = batch_of(images, params).to(self.context.device)
        try:
            step = self.step(row, params, batch)
            measured = timed(step, self.context, self.asked.steps)
            if self.asked.profile and row.compiles:
                Path(self.asked.profile).open("a").write(kernel_table(step, f"{self.case.size}, {row.way}"))
            return params, measured
        except torch.OutOfMemoryError:
            if self.state:
                self.state.optimizer.zero_grad()
            free(self.context)
            return params, None


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


def say(context: DistributedContext, line: str) -> None:
    """Print a line, once for all processes."""
    if context.leads:
        print(line, flush=True)


def table(bench: Bench, title: str, peaks: tuple[float, float]) -> None:
    """Measure and print the lines of one case."""
    context, rates = bench.context, {}
    for row in bench.case.rows:
        if row.dinov2 and (not bench.asked.dinov2 or context.world > 1):
            continue
        images = bench.images(row)
        params, measured = bench.measure(row, images)
        while measured is None and not row.images and images > 4:
            images -= 4
            params, measured = bench.measure(row, images)
        label = f"| {title}, {row.way} | {images} "
        if measured is None:
            say(context, f"{label}| out of memory | | | | | | |")
            continue
        flops, rate = step_flops(params), images * context.world / measured.seconds
        rates[row.way] = rate
        work = (flops.true / peaks[0], flops.true / peaks[1], flops.nominal / peaks[1])
        told = " | ".join(f"{share / context.world / measured.seconds:.1%}" for share in work)
        numbers = f"{1000 * measured.seconds:.1f} | {rate:.1f} | {measured.gib:.1f} | {told} | {measured.first:.0f}"
        say(context, f"{label}| {numbers} |")
    for ours in ("plain", "compiled"):
        ratios = [f"{rates[ours] / rate:.2f} × {way}" for way, rate in rates.items() if way.startswith("dinov2")]
        if ours in rates and ratios:
            say(context, f"| {title}, {ours}: {', '.join(ratios)} | | | | | | | | |")


def compare(context: DistributedContext, asked: argparse.Namespace) -> None:
    """Print the Markdown table."""
    known = peak_of(context, "bf16")
    peaks = measured_peak(context.device, "bf16"), known.flops
    name = torch.cuda.get_device_name() if context.device.type == "cuda" else processor()
    say(context, f"{date.today()}, {context.world} × {name}, torch {torch.__version__}, median of {asked.steps} steps.")
    say(context, f"Ceiling: {peaks[0] / 1e12:.4g} TFLOP/s by products here; {peaks[1] / 1e12:.4g}, {known.source}.\n")
    say(context, "| step | images | ms | images/s | GiB | MFU of products | of data sheet | nominal | first step, s |")
    say(context, "|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for title in asked.cases:
        table(Bench(CASES[title], context, asked), title, peaks)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--small", action="store_true", help="narrow models, to see that the script works")
    parser.add_argument("--dinov2", help="a checkout of dinov2, to compare with")
    parser.add_argument("--profile", help="a file for the kernels that compiled steps spend their time in")
    asked = parser.parse_args()
    if not (asked.small or torch.cuda.is_available()):
        sys.exit("There is no GPU here: nothing was measured. `--small` shows that the script works.")
    if not torch.cuda.is_available():
        torch.compile = partial(torch.compile, backend="aot_eager")  # kernels for a CPU take minutes to make
    with joined(Compute(device="auto")) as context:
        compare(context, asked)


if __name__ == "__main__":
    main()
