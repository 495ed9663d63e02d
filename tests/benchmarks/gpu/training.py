"""Trains a ViT-S/16 for some minutes on what pack.py published: does it learn, and does the loader keep up?

    python tests/benchmarks/gpu/training.py WORKSPACE [--seconds 240] [--small]

The values are those of the recipe `demo`, for a larger model, crops and batch: a run of minutes needs few prototypes,
sharp targets, LayerScale 1 and a teacher that follows fast. A first run of a few steps measures their speed and so
decides how many there are time for: schedules reach their ends. k-NN is of held-out images, the first after one step.
"""

import argparse
import json
import sys
import time
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch

from shared.dataset_version import Published, open_version
from shared.params import Compute
from shared.storage import Store
from training.loop.pretrain import pretrain
from training.params import PretrainParams
from training.runs.run_folder import RunFolder

TRIAL = 30
"""Steps of the first run; the latter half of them counts."""
MEASUREMENTS = 8
START = 15.0
"""Seconds in which a run makes its kernels ready and starts its workers."""
RECIPE: dict[str, Any] = {
    "model": {"size": "vit-s", "patch_size": 16, "layer_scale": 1.0, "drop_path": 0.0},
    "crops": {
        "global_size": 128,
        "global_scale": (0.4, 1.0),
        "local_size": 64,
        "local_scale": (0.15, 0.4),
        "local_count": 4,
        "shrink": 160,
    },
    "augment": {
        "jitter": 0.8,
        "hue": 0.1,
        "gray": 0.2,
        "blur_global_first": 0.0,
        "blur_global_other": 0.0,
        "blur_local": 0.0,
        "solarise": 0.0,
    },
    "objective": {"prototypes": 1024, "head_hidden": 1024, "teacher_temperature": (0.02, 0.04)},
    "optim": {
        "batch_size": 256,
        "lr": 1e-3,
        "lr_rule": "none",
        "weight_decay": (0.04, 0.04),
        "momentum": (0.98, 0.999),
    },
}
RATES: dict[str, Any] = {"layer_decay": 1.0, "patch_lr": 1.0, "freeze_prototypes": 0}
SMALL: dict[str, Any] = {
    "model": {"patch_size": 8, "width": 48, "depth": 2, "heads": 2},
    "crops": {"global_size": 32, "local_size": 16, "local_count": 2, "shrink": 40},
    "objective": {"prototypes": 64, "head_hidden": 48, "bottleneck": 16, "koleo_group": 4},
    "optim": {"batch_size": 16, "precision": "fp32"},
}


def params_of(steps: int, small: bool, measurements: int = MEASUREMENTS) -> PretrainParams:
    """Return a run of so many steps."""
    values = SMALL if small else RECIPE
    lengths = {"steps": steps, "warmup_steps": steps // 12}
    return PretrainParams.model_validate(
        values
        | {
            "optim": values["optim"] | RATES | lengths,
            "objective": values["objective"] | {"teacher_temperature_steps": steps // 8},
            "checkpoint_every": steps,
            "knn_every": max(1, steps // measurements),
        }
    )


def run(dataset: Published, workspace: Path, name: str, params: PretrainParams, compute: Compute) -> list[Any]:
    """Train, and return what was logged at each step."""
    folder = RunFolder(workspace / "runs" / name)
    with suppress(SystemExit), redirect_stdout(sys.stderr):  # out of time: what was logged still tells something
        pretrain(dataset, params, compute, folder)
    return [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--seconds", type=float, default=240.0, help="time for both runs")
    parser.add_argument("--small", action="store_true", help="a tiny model and few steps, to see that the script works")
    asked = parser.parse_args()
    dataset = open_version(Store(str(asked.workspace)), "images")
    compute = Compute(device="auto", compile=torch.cuda.is_available() and not asked.small)
    trial, begun = 6 if asked.small else TRIAL, time.monotonic()
    short = params_of(trial, asked.small, measurements=1)
    speed = run(dataset, asked.workspace, "trial", short, compute)[-2]["images_per_second"]
    batch = short.optim.batch_size
    left = asked.seconds - (time.monotonic() - begun) - START
    steps = 2 * trial if asked.small else max(trial, int(0.9 * left * speed / batch))
    params = params_of(steps, asked.small)
    begun = time.monotonic()
    rows = run(dataset, asked.workspace, "run", params, compute)
    seconds = time.monotonic() - begun
    done = rows[-1]["step"]
    print(
        f"\n{params.model.title}/{params.model.patch_size}, {done} of {steps} steps of {batch} images in "
        f"{seconds:.0f} s, {done * batch / seconds:.0f} images/s with all, {speed:.0f} in the trial; "
        f"{dataset.info['kept']} images, {compute.width} workers, compiled: {compute.compile}\n"
    )
    print("| step | loss | DINO | iBOT | k-NN | effective rank | images/s | MFU | data wait |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    rank = float("nan")
    for row in rows:
        rank = row.get("teacher_effective_rank", rank)
        if "knn_top1" in row:
            losses = " | ".join(f"{row[name]:.3f}" for name in ("loss", "loss_dino", "loss_ibot"))
            shares = f"{row['images_per_second']:.0f} | {row['mfu']:.1%} | {row['data_wait']:.1%}"
            print(f"| {row['step']} | {losses} | {row['knn_top1']:.1%} | {rank:.1f} | {shares} |")


if __name__ == "__main__":
    main()
