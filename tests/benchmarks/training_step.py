"""One training step: CPU seconds beside dinov2's own step; `gpu/steps.py` does the same on GPUs.

    PYTHONPATH=. python tests/benchmarks/training_step.py --dinov2 FOLDER [--rounds 3] [--steps 4]

It needs a checkout of https://github.com/facebookresearch/dinov2, and nothing of what that depends on.

ViT-S/14, batch 4, 2 × 224 and 8 × 98 crops, 65,536 tied prototypes, Sinkhorn-Knopp, uniform drop path 0.3; the
same crops and masks for both. Each configuration runs in its own process with one thread, several rounds in
turn; a step's cost is its CPU time (user and system), the median over all rounds after one step to warm up.
"Switches" are the two that this project sets for its processes: glibc keeps freed memory, and fp32 products go
to oneDNN where a probe finds them exact. dinov2 is measured without and with them.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.launch.relay import THRIFTY
from training.data.batch import Batch, collate
from training.data.masking import block_mask, mask_ratio
from training.data.multi_crop import Views
from training.distributed import DistributedContext, fast_products, products_in_onednn
from training.loop.pretrain import initial_state
from training.loop.train_step import take_step
from training.params import CropParams, ModelParams, ObjectiveParams, OptimParams, PretrainParams

PIXELS = ("global_crops", "local_crops")
CPU = torch.device("cpu")
SYSTEMS = {"dinov2 as it is": ("dinov2", False), "dinov2, same switches": ("dinov2", True), "dinoflow": ("ours", True)}


def params_of(precision: Any, images: int, drop_path: float = 0.3) -> PretrainParams:
    """Return the step that is measured."""
    return PretrainParams(
        model=ModelParams(drop_path=drop_path, drop_path_rule="uniform"),
        objective=ObjectiveParams(koleo_group=images),
        optim=OptimParams(precision=precision, batch_size=images, lr_rule="none", lr=1e-4, freeze_prototypes=0),
    )


def batch_of(images: int, params: PretrainParams) -> Batch:
    """Return random crops of so many images, masked as in training."""
    crops: CropParams = params.crops
    side, count = crops.global_size // params.model.patch_size, crops.global_count * images
    rng = np.random.default_rng(0)
    ratios = [mask_ratio(crop, count, (0,), params.objective) for crop in range(count)]
    masks = np.stack([block_mask(side, int(side * side * ratio), rng) for ratio in ratios])
    masks = masks.reshape(images, crops.global_count, -1)

    def views(count: int, size: int) -> np.ndarray:
        return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)

    pixels = ((crops.global_count, crops.global_size), (crops.local_count, crops.local_size))
    colours = [np.zeros((count, 1)) for count, _ in pixels]  # read by nobody here
    drafts = [(Views(*(views(*of) for of in pixels), *colours), masks[image]) for image in range(images)]
    batch = collate(drafts).batch
    return batch._replace(**{name: getattr(batch, name).permute(0, 3, 1, 2).contiguous() for name in PIXELS})


def our_step(params: PretrainParams, batch: Batch, device: torch.device) -> Callable[[], dict[str, float]]:
    """Return this project's step on a batch."""
    context, batch = DistributedContext(device, 0, 1), batch.to(device)
    state = initial_state(params, context)
    return lambda: take_step(state, state.student, batch, params, context, False).losses


def one_process(system: str, precision: str, steps: int, checkout: Path) -> None:
    """Print, as JSON, the CPU seconds of each step of one system in this process."""
    torch.set_num_threads(1)
    params = params_of(precision, 4)
    batch = batch_of(4, params)
    _, switched = SYSTEMS[system]
    with fast_products(CPU) if switched else nullcontext():
        if system == "dinoflow":
            step = our_step(params, batch, CPU)
        else:
            from tests.benchmarks.dinov2_step import dinov2_step

            step = dinov2_step(checkout, batch, params)
        seconds = []
        for _ in range(1 + steps):
            started = time.process_time()
            losses = step()
            seconds.append(time.process_time() - started)
        print(json.dumps({"seconds": seconds[1:], "losses": losses, "onednn": products_in_onednn()}))


def measured(system: str, precision: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Run one configuration in a process of its own."""
    switches = THRIFTY if SYSTEMS[system][1] else {}
    kept = {name: value for name, value in os.environ.items() if name not in THRIFTY}
    command = [sys.executable, __file__, "--dinov2", asked.dinov2, "--steps", str(asked.steps)]
    done = subprocess.run(
        [*command, "--system", system, "--precision", precision],
        env=kept | {"OMP_NUM_THREADS": "1"} | switches,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(asked: argparse.Namespace) -> None:
    """Print the Markdown table: both baselines and this project, in both precisions."""
    runs = [(precision, system) for precision in ("fp32", "bf16") for system in SYSTEMS]
    seconds: dict[tuple[str, str], list[float]] = {run: [] for run in runs}
    onednn = False
    for _ in range(asked.rounds):
        for precision, system in runs:
            found = measured(system, precision, asked)
            seconds[precision, system] += found["seconds"]
            onednn |= found["onednn"]
    print(f"{date.today()}, {processor()}, one thread, torch {torch.__version__}; fp32 products in oneDNN: ", end="")
    print("yes, the probe found them exact" if onednn else "no, the probe found them inexact here")
    print("\n| precision | step | CPU s | fastest | dinoflow's share |\n|---|---|--:|--:|--:|")
    for precision, system in runs:
        median = statistics.median(seconds[precision, system])
        share = statistics.median(seconds[precision, "dinoflow"]) / median
        print(f"| {precision} | {system} | {median:.2f} | {min(seconds[precision, system]):.2f} | {share:.2f} |")


def processor() -> str:
    """Return the processor's name, and how it multiplies bf16."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = next((line.split(":")[1].strip() for line in told.splitlines() if line.startswith("model name")), "")
    features = [feature for feature in ("avx512_bf16", "amx_bf16") if f" {feature} " in told]
    return f"{name or platform.processor()} ({', '.join(features) or 'no bf16'})"


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dinov2", required=True, help="a checkout of dinov2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="fp32", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.system:
        one_process(asked.system, asked.precision, asked.steps, Path(asked.dinov2))
    else:
        compare(asked)


if __name__ == "__main__":
    main()
