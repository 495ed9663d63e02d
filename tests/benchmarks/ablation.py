"""Did curation help? `dinoflow ablate` on real photographs among which copies, a skew and junk were planted.

    nice -n 5 python tests/benchmarks/ablation.py FOLDER [--steps 100] [--seeds 3] [--workspace DIR]

FOLDER holds class folders, or sets and splits of them: the folder that an image lies in is its class. Every twelfth
class becomes frequent by nine altered copies of each image; drawn junk (dark, blurred, blank, tiny) comes on top.
Each variant takes one rule away from the recipe `laptop`, or adds one. Prints the table in Markdown, with what it
took; run again with the same workspace, it trains nothing.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np

from flows.ablation import text
from flows.demo.corpus import copies
from flows.demo.corpus.defects import DEFECTS
from flows.demo.corpus.scene import CLASSES

ROOT = Path(__file__).parents[2]
COPIES, EVERY = 9, 12
JUNK = {"dark": 60, "blurred": 60, "blank": 60, "small": 30, "strip": 30}
ALTERED = (copies.cropped, copies.resized, copies.recompressed, copies.brightness, copies.flipped)
VARY = ("curation.dedup=off", "curation.quality=off", "curation.balance=on")
SETTINGS = (
    "curation.dedup.near.candidates.nearest=3",  # enough where nine copies lie together, and a third of the pairs
    "training.model.patch_size=16",  # what learns something in few steps
    "training.crops={global_size: 64, global_scale: [0.4, 1], local_size: 32, local_scale: [0.15, 0.4], "
    "local_count: 4, shrink: 80}",
    "training.augment={jitter: 0.5, hue: 0.02, gray: 0.05, blur_global_first: 0, blur_global_other: 0, "
    "blur_local: 0, solarise: 0}",
    "training.objective.koleo_weight=0.25",
    "training.objective.ibot_weight=0.2",
    "training.optim.steps=600",  # of which --steps makes a proxy, and the warm-up shorter in proportion
    "training.optim.lr=1e-3",
    "training.optim.warmup_steps=20",
    "training.optim.momentum=[0.99, 1.0]",
    "compute.workers=1",
    "compute.device=cpu",
)


def planted(source: Path, index: Path) -> Counter[str]:
    """Copy the photographs into class folders, plant copies and junk; return how many of each there are."""
    counts: Counter[str] = Counter()
    rng = np.random.default_rng(0)
    photos = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    frequent = sorted({path.parent.name for path in photos})[::EVERY]
    for number, path in enumerate(photos):
        data, folder = path.read_bytes(), index / path.parent.name
        _write(folder / f"{number:05d}.jpg", data, counts, "photographs")
        for turn in range(COPIES if path.parent.name in frequent else 0):
            altered = ALTERED[turn % len(ALTERED)](data, rng)
            altered = copies.recompressed(altered, rng) if turn >= len(ALTERED) else altered
            _write(folder / f"{number:05d}-{turn}.jpg", altered, counts, "altered copies")
    labels = sorted({path.parent.name for path in photos})
    for kind, count in JUNK.items():
        for turn in range(count):
            data = DEFECTS[kind][0](str(rng.choice(list(CLASSES))), rng, turn)
            _write(index / str(rng.choice(labels)) / f"{kind}-{turn:03d}.jpg", data, counts, "junk")
    return counts


def _write(path: Path, data: bytes, counts: Counter[str], kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != data:  # a new date would have it measured again
        path.write_bytes(data)
    counts[kind] += 1


def main() -> None:
    """Plant, ablate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workspace", type=Path, help="a folder of its own where none is given, deleted at the end")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        workspace = given.workspace or Path(temporary)
        index = workspace / "index"
        counts = planted(given.folder, index)
        words = ["ablate", "laptop", "--source", index, "--workspace", workspace / "w", "--json"]
        words += ["--steps", given.steps, "--seeds", given.seeds, "--name", "photographs"]
        words += [word for vary in VARY for word in ("--vary", vary)]
        words += [word for setting in SETTINGS for word in ("--set", setting)]
        command = [sys.executable, "-m", "flows.cli", *map(str, words)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        told = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    facts = json.loads(told.stdout)
    head, *rows = text.table(facts)
    print(f"{date.today()}, {platform.machine()}, one thread, {_cpu_minutes():.0f} CPU minutes in all.")
    print("Planted: " + ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) + ".")
    print(*text.headline(facts), "", sep="\n")
    print(*(f"| {' | '.join(row)} |" for row in (head,)), "|---|" + "--:|" * 4 + "---|", sep="\n")
    print(*(f"| {' | '.join(row)} |" for row in rows), "", *text.notes(facts), sep="\n")


def _cpu_minutes() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used) / 60


if __name__ == "__main__":
    main()
