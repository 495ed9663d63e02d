"""What 1 % of new files costs, stage by stage: CPU beyond that of a run with nothing new, as a share of the full run's.

    python tests/benchmarks/scale/increment.py FOLDER [--images 1700] [--part-images 200] [--shard-images 256]
        [--additions 5] [--balance] [--evaluation-set FOLDER]

The JPEGs of FOLDER are spread over 40 folders; 1 % is added all over them, several times, since what so few images are
near to is chance. Curations in one process, by the library, without Prefect: all, nothing new, each addition.
"""

import argparse
import os
import random
import shutil
import statistics
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


def curated(root, workspace, part_images, shard_images=256, **more):
    """Return the CPU seconds of each stage and of publishing."""
    curation = {"index": {"part_images": part_images}, "pack": {"shard_images": shard_images}, **more}
    return stage_seconds(root, workspace, curation, pipeline.curate)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1700)
    parser.add_argument("--part-images", type=int, default=200)
    parser.add_argument("--shard-images", type=int, default=256)
    parser.add_argument("--additions", type=int, default=5)
    parser.add_argument("--balance", action="store_true")
    parser.add_argument("--evaluation-set", type=Path)
    options = parser.parse_args()
    more = {"balance": {"enabled": True}} if options.balance else {}
    if options.evaluation_set:
        held = {"name": "held", "source": {"kind": "folder", "url": str(options.evaluation_set.resolve())}}
        more["decontaminate"] = {"sets": [held]}
    paths = sorted(options.folder.rglob("*.jpg"))
    random.Random(0).shuffle(paths)
    paths = paths[: options.images]
    new = len(paths) // (100 + options.additions)
    known = len(paths) - options.additions * new
    additions = [range(known), range(0), *(range(first, first + new) for first in range(known, len(paths), new))]
    decodes, decode = [0], measuring.decode

    def counted(*arguments):
        decodes[0] += 1
        return decode(*arguments)

    measuring.decode = counted
    runs, counts = [], []
    with tempfile.TemporaryDirectory() as folder:
        root, workspace = Path(folder, "images"), Path(folder, "workspace")
        for added in additions:
            spread(paths, added, root)
            decodes[0] = 0
            runs.append(curated(root, workspace, options.part_images, options.shard_images, **more))
            counts.append(decodes[0])
    print(hardware(), f"{known} JPEGs, then {options.additions} times {new}. Decoded by measure: {counts}.\n")
    print("| stage | all, CPU s | nothing new | +1 %, mean | share | of each |\n|---|--:|--:|--:|--:|---|")
    for name in (*runs[0], "together"):
        values = [sum(run.values()) if name == "together" else run[name] for run in runs]
        beyond, added = values[0] - values[1], [value - values[1] for value in values[2:]]
        shares = [f"{each / beyond:.1%}" for each in (statistics.mean(added), *added)] if beyond > 0.05 else ["–", ""]
        mean = statistics.mean(values[2:])
        print(f"| {name} | {values[0]:.2f} | {values[1]:.2f} | {mean:.2f} | {shares[0]} | {', '.join(shares[1:])} |")


if __name__ == "__main__":
    main()
