"""One training step on random crops: images/s for each precision, on a GPU, or a word that there is none.

    python tests/benchmarks/training_step.py [--batch 64] [--steps 50] [--cpu]

Needs only what `training` needs (torch, torchvision, timm, NumPy, pyarrow, Pillow, pydantic). ViT-S/14 with
2 × 224 and 8 × 98 crops and 65,536 prototypes; the median of the steps after ten that warm up.
"""

import argparse
import statistics
import sys
import time

import torch

from training.data import Batch
from training.device import Place
from training.params import CropParams, ObjectiveParams, OptimParams, PretrainParams
from training.pretraining import initial_state
from training.stepping import take_step

WARM_UP = 10


def batch_of(images: int, crops: CropParams, patch: int, device: torch.device) -> Batch:
    """Return random crops of so many images, half of the large ones masked by 30 %."""
    large = images * crops.large_count
    patches = (crops.large_size // patch) ** 2
    mask_RN = torch.zeros(large, patches, dtype=torch.bool)
    mask_RN[::2, : int(0.3 * patches)] = True
    places_M = mask_RN.flatten().nonzero().squeeze(1)
    shapes = ((large, crops.large_size), (images * crops.small_count, crops.small_size))
    views = (torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8) for count, side in shapes)
    weight_M = torch.full((len(places_M),), 1.0 / int(0.3 * patches))
    return Batch(*views, mask_RN, places_M, weight_M).to(device)


def measure(precision: str, images: int, steps: int, device: torch.device) -> str:
    """Return a line with images/s and peak memory."""
    params = PretrainParams(
        objective=ObjectiveParams(koleo_group=images),
        optim=OptimParams(precision=precision, batch_size=images, lr_rule="none", lr=1e-4),  # type: ignore[arg-type]
    )
    place = Place(device, 0, 1)
    state = initial_state(params, place)
    batch = batch_of(images, params.crops, params.model.patch_size, device)
    seconds = []
    for step in range(WARM_UP + steps):
        started = time.perf_counter()
        take_step(state, state.student, batch, params, place, False)  # waits for the device once, at its end
        if step >= WARM_UP:
            seconds.append(time.perf_counter() - started)
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else float("nan")
    return f"{precision:<6} {images / statistics.median(seconds):>10.1f} {memory:>10.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--cpu", action="store_true", help="measure on the CPU, where there is no GPU")
    asked = parser.parse_args()
    if not torch.cuda.is_available() and not asked.cpu:
        sys.exit("There is no GPU here: nothing was measured. --cpu measures on the CPU, slowly.")
    device = torch.device("cpu" if asked.cpu else "cuda")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"ViT-S/14, batch {asked.batch}, {name}, torch {torch.__version__}")
    print(f"{'':<6} {'images/s':>10} {'peak GiB':>10}")
    for precision in ("bf16", "fp16", "fp32") if device.type == "cuda" else ("bf16", "fp32"):
        print(measure(precision, asked.batch, asked.steps, device), flush=True)


if __name__ == "__main__":
    main()
