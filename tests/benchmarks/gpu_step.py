"""One training step on GPUs: images/s, memory and MFU, plain, compiled and with activation checkpointing.

    python tests/benchmarks/gpu_step.py [--sizes vit-s vit-l vit-450m] [--batch 64] [--steps 50]
    python tests/benchmarks/gpu_step.py --sizes vit-s vit-l --dinov2 FOLDER
    torchrun --nproc-per-node 8 tests/benchmarks/gpu_step.py
    python tests/benchmarks/gpu_step.py --device cpu --small

It needs only what `training` needs: torch 2.11 or newer, torchvision, timm, numpy, pyarrow, Pillow, pydantic, OpenCV
and safetensors. `--dinov2` needs a checkout of https://github.com/facebookresearch/dinov2 with fvcore, iopath and
omegaconf; its step then gets the same crops and masks (one process only). All tensors lie on the device before.

ViT-S and ViT-L have DINOv2's short recipe with patches of 14 pixels: 2 × 224 and 8 × 98 crops, 65,536 tied prototypes,
uniform drop path 0.3. The 450M has that of `meta-dinov2-giant-fit`: 2 + 10 crops, separate heads of 131,072, drop path
0.4. bf16; median of the steps after 20 that warm up. The last line is for a machine without a GPU: models of three
narrow blocks that show that the script works, and nothing else. On a CPU the time is the processor's, which others
on the machine change little; OMP_NUM_THREADS=1 makes it that of a step.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
from dinov2_step import dinov2_step
from training_step import batch_of, processor

from shared.params import Compute
from training.cost.peak_flops import measured_peak, peak_of
from training.cost.step_flops import step_flops
from training.data.batch import Batch
from training.distributed import DistributedContext, gathered, joined
from training.loop.pretrain import initial_state
from training.loop.train_loop import in_ddp
from training.loop.train_step import take_step
from training.model.blocks import compiled
from training.params import PretrainParams

WARM_UP = 20
SHORT: dict[str, Any] = {"crops": {"local_count": 8}, "objective": {"prototypes": 65536}, "drop_path": 0.3}
GIANT: dict[str, Any] = {
    "crops": {"local_count": 10},
    "objective": {"prototypes": 131072, "bottleneck": 384, "patch_bottleneck": 256, "separate_heads": True},
    "drop_path": 0.4,
}
SIZES: dict[str, tuple[dict[str, Any], int]] = {"vit-s": (SHORT, 128), "vit-l": (SHORT, 64), "vit-450m": (GIANT, 32)}
"""Recipe and images of a process."""
VARIANTS = {
    "plain": (False, False),
    "compiled": (True, False),
    "checkpointing": (False, True),
    "compiled, checkpointing": (True, True),
}
"""Whether branches are compiled, and activations recomputed."""
ARCHS = {"vit-s": "vit_small", "vit-l": "vit_large"}
NARROW = {"width": 96, "depth": 3, "heads": 3}

Step = Callable[[], Any]


def params_of(size: str, images: int, context: DistributedContext, *, recompute: bool, small: bool) -> PretrainParams:
    """Return the step that is measured, for so many images of each process."""
    recipe, _ = SIZES[size]
    model = {"size": size} | (NARROW if small else {}) | {"activation_checkpointing": recompute}
    optim = {"batch_size": images * context.world, "lr_rule": "none", "lr": 1e-4, "freeze_prototypes": 0}
    objective = recipe["objective"] | ({"prototypes": 1024} if small else {}) | {"koleo_group": images}
    return PretrainParams.model_validate(
        {
            "model": model | {"drop_path": recipe["drop_path"], "drop_path_rule": "uniform"},
            "crops": recipe["crops"],
            "objective": objective,
            "optim": optim | {"precision": "bf16"},
        }
    )


def our_step(params: PretrainParams, batch: Batch, context: DistributedContext, compiles: bool) -> Step:
    """Return this project's step on a batch."""
    state = initial_state(params, context)
    for model in (state.student, state.teacher) if compiles else ():
        model.backbone.branches = compiled(params.model.depth)
    wrapped = in_ddp(state.student, context, static=True)
    return lambda: take_step(state, wrapped, batch, params, context, False)


def timed(step: Step, context: DistributedContext, warm_up: int, steps: int) -> tuple[float, float]:
    """Return the median seconds of a step, of the slowest process, and the peak memory in GiB."""
    if context.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    clock = time.perf_counter if context.device.type == "cuda" else time.process_time
    seconds, before = [], clock()
    for _ in range(warm_up + steps):  # a step waits for the device once, so that one begins when another ends
        step()
        now = clock()
        seconds.append(now - before)
        before = now
    median = max(gathered(statistics.median(seconds[-steps:]), context.world))
    memory = torch.cuda.max_memory_allocated() / 2**30 if context.device.type == "cuda" else 0.0
    return median, memory


def row(
    label: str,
    params: PretrainParams,
    context: DistributedContext,
    peaks: tuple[float, float],
    make: Callable[[], Step],
    asked: Any,
) -> None:
    """Measure and print one line of the table."""
    images, flops, local = params.optim.batch_size, step_flops(params), params.optim.batch_size // context.world
    try:
        seconds, memory = timed(make(), context, asked.warm_up, asked.steps)
    except torch.OutOfMemoryError:
        say(context, f"| {label} | {local} | out of memory | | | | | | |")
        return
    shares = [work / context.world / seconds / peak for peak in peaks for work in (flops.true, flops.nominal)]
    told = " | ".join(f"{share:.1%}" for share in shares)
    say(context, f"| {label} | {local} | {1000 * seconds:.1f} | {images / seconds:.1f} | {memory:.1f} | {told} |")


def say(context: DistributedContext, line: str) -> None:
    """Print a line, once for all processes."""
    if context.leads:
        print(line, flush=True)


def compare(context: DistributedContext, asked: argparse.Namespace) -> None:
    """Print the Markdown table."""
    known = peak_of(context, "bf16")
    peaks = measured_peak(context.device, "bf16"), known.flops
    name = torch.cuda.get_device_name() if context.device.type == "cuda" else processor()
    say(
        context,
        f"{date.today()}, {context.world} × {name}, torch {torch.__version__}, bf16, median of {asked.steps} steps.",
    )
    say(context, f"Ceiling: {peaks[0] / 1e12:.4g} TFLOP/s by products here; {peaks[1] / 1e12:.4g}, {known.source}.\n")
    say(context, "| step | images | ms | images/s | GiB | MFU of products | nominal | MFU of data sheet | nominal |")
    say(context, "|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for size in asked.sizes:
        images = asked.batch or (4 if asked.small else SIZES[size][1])
        for variant in asked.variants:
            compiles, recompute = VARIANTS[variant]
            torch._dynamo.reset()
            params = params_of(size, images, context, recompute=recompute, small=asked.small)
            batch = batch_of(images, params).to(context.device)
            make = partial(our_step, params, batch, context, compiles)
            row(f"{size}, {variant}", params, context, peaks, make, asked)
        if asked.dinov2 and size in ARCHS and context.world == 1 and not asked.small:
            settings = {"drop_path": params.model.drop_path, "prototypes": params.objective.prototypes}
            peer = {"precision": "bf16", "arch": ARCHS[size], "device": context.device}
            make = partial(dinov2_step, Path(asked.dinov2), batch, **settings, **peer)
            row(f"{size}, dinov2", params, context, peaks, make, asked)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--batch", type=int, default=0, help="images of a process; 0 = as many as suit the size")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--warm-up", type=int, default=WARM_UP, help="steps before, at least 1")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="narrow models, to see that the script works")
    parser.add_argument("--dinov2", help="a checkout of dinov2, to compare with")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no GPU here: nothing was measured. `--device cpu --small` shows that the script works.")
    with joined(Compute(device=asked.device)) as context:
        compare(context, asked)


if __name__ == "__main__":
    main()
