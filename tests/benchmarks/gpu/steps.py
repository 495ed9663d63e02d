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
import re
import sys
from datetime import date
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch
import torch.distributed as dist

from shared.params import Compute
from tests.benchmarks.gpu.bench import NO_ROOM, Bench
from tests.benchmarks.gpu.sizes import CASES
from tests.benchmarks.training_step import processor
from training.cost.peak_flops import measured_peak, peak_of
from training.cost.step_flops import step_flops
from training.distributed import DistributedContext, joined


def say(context: DistributedContext, line: str) -> None:
    """Print a line, once for all processes."""
    if context.leads:
        print(line, flush=True)


def table(bench: Bench, title: str, peaks: tuple[float, float]) -> None:
    """Measure and print the lines of one case."""
    context, rates = bench.context, {}
    for row in bench.case.rows:
        peerless = row.dinov2 and (not bench.asked.dinov2 or context.world > 1)
        if peerless or not re.search(bench.asked.ways, row.way):
            continue
        images = bench.images(row)
        params, measured = bench.measure(row, images)
        while measured == NO_ROOM and not row.images and images > 4:
            images -= 4
            params, measured = bench.measure(row, images)
        label = f"| {title}, {row.way} | {images} "
        if isinstance(measured, str):
            say(context, f"{label}| {measured} | | | | | | |")
            continue
        flops, rate = step_flops(params), images * context.world / measured.seconds
        rates[row.way] = rate
        work = (flops.true / peaks[0], flops.true / peaks[1], flops.nominal / peaks[1])
        told = " | ".join(f"{share / context.world / measured.seconds:.1%}" for share in work)
        numbers = f"{1000 * measured.seconds:.1f} | {rate:.1f} | {measured.gib:.1f} | {told} | {measured.first:.0f}"
        say(context, f"{label}| {numbers} |")
    for ours in ("plain", "compiled"):
        if ours not in rates:
            continue
        ratios = [f"{rates[ours] / rate:.2f} × {way}" for way, rate in rates.items() if way.startswith("dinov2")]
        if ratios:
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
    parser.add_argument("--ways", default="", help="a pattern: only lines whose way it finds")
    parser.add_argument("--dinov2", help="a checkout of dinov2, to compare with")
    parser.add_argument("--profile", help="a file for the kernels that compiled steps spend their time in")
    asked = parser.parse_args()
    if not (asked.small or torch.cuda.is_available()):
        sys.exit("There is no GPU here: nothing was measured. `--small` shows that the script works.")
    if not torch.cuda.is_available():
        torch.compile = partial(torch.compile, backend="aot_eager")  # kernels for a CPU take minutes to make
    try:
        with joined(Compute(device="auto")) as context:
            compare(context, asked)
    finally:
        if dist.is_initialized():  # by dinov2's step
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
