"""What 1 % of new files costs, stage by stage: CPU beyond that of a run with nothing new, as a share of the full run's.

    python tests/benchmarks/scale/increment.py FOLDER [--images 1700] [--part-images 200] [--shard-images 256]

The JPEGs of FOLDER are spread over 40 folders; 1 % is added all over them. Three curations in one process, by the
library, without Prefect: all, nothing new, the addition.
"""

import argparse
import os
import random
import shutil
import tempfile
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

from hardware import hardware
from stage_seconds import stage_seconds

from curation.measure import measure as measuring
from flows import pipeline

FOLDERS = 40


def spread(paths, numbers, root):
    for number in numbers:
        path = root / f"{number % FOLDERS:02}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(paths[number], path)


def curated(root, workspace, part_images, shard_images=256):
    """Return the CPU seconds of each stage and of publishing."""
    curation = {"index": {"part_images": part_images}, "pack": {"shard_images": shard_images}}
    return stage_seconds(root, workspace, curation, pipeline.curate)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1700)
    parser.add_argument("--part-images", type=int, default=200)
    parser.add_argument("--shard-images", type=int, default=256)
    options = parser.parse_args()
    paths = sorted(options.folder.rglob("*.jpg"))
    random.Random(0).shuffle(paths)
    paths = paths[: options.images]
    new = len(paths) // 100
    decodes, decode = [0], measuring.decode

    def counted(*arguments):
        decodes[0] += 1
        return decode(*arguments)

    measuring.decode = counted
    runs, counts = [], []
    with tempfile.TemporaryDirectory() as folder:
        root, workspace = Path(folder, "images"), Path(folder, "workspace")
        spread(paths, range(len(paths) - new), root)
        for added in (range(0), range(0), range(len(paths) - new, len(paths))):
            spread(paths, added, root)
            decodes[0] = 0
            runs.append(curated(root, workspace, options.part_images, options.shard_images))
            counts.append(decodes[0])
    full, nothing, more = runs
    print(hardware(), f"{len(paths)} JPEGs, {new} of them new. Decoded by measure: {counts}.\n")
    print("| stage | all, CPU s | nothing new | +1 % | share |\n|---|--:|--:|--:|--:|")
    for name in (*full, "together"):
        values = [sum(run.values()) if name == "together" else run[name] for run in (full, nothing, more)]
        beyond, share = values[0] - values[1], values[2] - values[1]
        part = f"{share / beyond:.1%}" if beyond > 0.05 else "–"
        print(f"| {name} | {values[0]:.2f} | {values[1]:.2f} | {values[2]:.2f} | {part} |")


if __name__ == "__main__":
    main()
