"""Images per CPU second from JPEG bytes to crops, dinoflow beside dinov2's own augmentation, as Markdown, in one run.

    git clone https://github.com/facebookresearch/dinov2 /tmp/dinov2
    python tests/benchmarks/data_path.py FOLDER [FOLDER…] --dinov2 /tmp/dinov2 [--resize 500x375] [--images 100]

2 global and 8 local crops with DINOv2's chances and strengths, on one thread, from bytes in memory. Every row does the
same images; rows take turns, and the median of the runs counts. dinov2 is run, not copied: Pillow and torchvision,
and a blur whose chances its code inverts, so that 0.9 global crops of an image are blurred for 1.1 of ours.

- `dinov2`: decode and `DataAugmentationDINO`, which ends in normalised floats.
- `colours on the device`: what a worker does when a GPU changes the colours: decode, crop, draw.
- `all on the CPU`: the same, colours and normalised floats.
"""

import argparse
import datetime
import importlib
import io
import math
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import torch
from duplicates import hardware
from PIL import Image

from training.data.color_cpu import color_jitter
from training.data.decode import decoded
from training.data.multi_crop import Views, keyed_rng, multi_crop
from training.model.vit import normalised
from training.params import AugmentParams, CropParams

CROPS, AUGMENT = CropParams(), AugmentParams()
Row = Callable[[int, bytes], Any]


def dinov2_augmentation(folder: Path) -> Callable[[Image.Image], Any]:
    """Load dinov2's augmentation alone: its packages import what is not needed here."""
    import shared.images.torchvision_cpu  # noqa: F401  before torchvision

    package = types.ModuleType("dinov2_data")
    package.__path__ = [str(folder / "dinov2" / "data")]
    sys.modules["dinov2_data"] = package
    module = importlib.import_module("dinov2_data.augmentations")
    made: Callable[[Image.Image], Any] = module.DataAugmentationDINO(
        CROPS.global_scale, CROPS.local_scale, CROPS.local_count, CROPS.global_size, CROPS.local_size
    )
    return made


def pillow(_: int, data: bytes) -> Image.Image:
    """Decode as dinov2's datasets do."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def for_the_device(number: int, data: bytes) -> Views:
    """Decode, crop, and draw what will be done to the colours."""
    return multi_crop(decoded(data, 0, CROPS), CROPS, AUGMENT, keyed_rng(0, number))


def on_the_cpu(number: int, data: bytes) -> list[torch.Tensor]:
    """Do everything here, to normalised floats."""
    views = for_the_device(number, data)
    pairs = ((views.global_crops, views.global_colours), (views.local_crops, views.local_colours))
    return [normalised(color_jitter(*map(torch.from_numpy, pair))) for pair in pairs]


def milliseconds(rows: dict[str, Row], images: list[bytes], runs: int) -> dict[str, list[float]]:
    """Return CPU ms per image, a number for each run; the first round warms up and is left out."""
    spent: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(runs + 1):
        for name, row in rows.items():
            begun = time.process_time()
            for number, data in enumerate(images):
                row(number, data)
            spent[name].append((time.process_time() - begun) / len(images) * 1000)
    return {name: times[1:] for name, times in spent.items()}


def resized(data: bytes, size: tuple[int, int]) -> bytes:
    """Return the image as a JPEG of exactly this size."""
    file = io.BytesIO()
    pillow(0, data).resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=90)
    return file.getvalue()


def report(name: str, images: list[bytes], rows: dict[str, Row], runs: int) -> Iterable[str]:
    """Yield the lines of a folder's table."""
    spent = milliseconds(rows, images, runs)
    theirs = spent.get("dinov2", [])
    pixels = statistics.mean(math.prod(Image.open(io.BytesIO(data)).size) for data in images)
    yield f"\n{name}: {len(images)} JPEGs, {pixels / 1e6:.2f} megapixels on average, {runs} runs\n"
    yield "| | CPU ms / image | images / CPU s | × dinov2 | lowest – highest run |"
    yield "|---|--:|--:|--:|--:|"
    for row, times in spent.items():
        ratios = [their / own for their, own in zip(theirs, times, strict=True)] if theirs else []
        shares = (f"{statistics.median(ratios):.1f}", f"{min(ratios):.1f} – {max(ratios):.1f}") if ratios else ("", "")
        middle = statistics.median(times)
        yield f"| {row} | {middle:.2f} | {1000 / middle:.0f} | {shares[0]} | {shares[1]} |"


def main() -> None:
    """Print a table for every folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--dinov2", type=Path, help="a checkout of facebookresearch/dinov2")
    parser.add_argument("--resize", help="WIDTHxHEIGHT: also measure the same images at this size")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows: dict[str, Row] = {"decode, Pillow": pillow, "decode, as for crops": lambda _, data: decoded(data, 0, CROPS)}
    if asked.dinov2:
        augmentation = dinov2_augmentation(asked.dinov2)
        rows["dinov2"] = lambda number, data: augmentation(pillow(number, data))
    rows |= {"dinoflow, colours on the device": for_the_device, "dinoflow, all on the CPU": on_the_cpu}
    print(f"{hardware()}, Python {platform.python_version()}, torch {torch.__version__}, {datetime.date.today()}")
    for folder in asked.folders:
        names = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        images = [path.read_bytes() for path in names[:: max(1, len(names) // asked.images)][: asked.images]]
        print("\n".join(report(folder.name, images, rows, asked.runs)), flush=True)
        if asked.resize:
            width, height = map(int, asked.resize.split("x"))
            smaller = [resized(data, (width, height)) for data in images]
            print("\n".join(report(f"{folder.name} at {asked.resize}", smaller, rows, asked.runs)), flush=True)


if __name__ == "__main__":
    main()
