"""What Prefect costs: CPU seconds of whole commands, every process they start counted, as Markdown.

    PYTHONPATH=tests python tests/benchmarks/prefect_cost.py [--images 400] [--parts 500] [--seconds 0.05]

Nothing new: each command is run on a workspace where all is done. Overhead: a stage of so many parts, each of which
keeps a core busy for so long, through Prefect's task runs and without; the difference, and what share it would be of
parts of the default 10,000 images. Orphans count: a child subreaper waits for all that a command leaves behind.
"""

import argparse
import ctypes
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from conftest import encoded, picture

from curation.stages import STAGES

ROOT = Path(__file__).parents[2]
SHORT = (
    "training.optim={steps: 2, warmup_steps: 1, batch_size: 64}",
    "training.checkpoint_every=2",
    "compute.workers=2",
)
NOTHING_NEW = ["run", "curate", *(stage.name for stage in STAGES), "pretrain", "evaluate"]
MS_AN_IMAGE, IMAGES_A_PART = 2.0, 10_000
"""A low guess of what measuring costs, and the default part."""


def adopt_orphans() -> None:
    """Have what a command leaves behind handed to this process, which waits for it and counts it."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def cost(command: list[str], folder: Path) -> tuple[float, float]:
    """Return CPU seconds, of the command and all that it started, and seconds of the clock."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.monotonic() - started
    while True:  # adopted orphans end in their own time
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def photographs(folder: Path, count: int) -> Path:
    """Write pictures in two classes."""
    for i in range(count):
        path = folder / "photos" / ("cats", "dogs")[i % 2] / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(i)))
    return folder / "photos"


def nothing_new(folder: Path, images: int) -> None:
    """Print what each command costs where nothing is left to do."""
    short = [word for setting in SHORT for word in ("--set", setting)]
    words = ["laptop", "--source", str(photographs(folder, images)), "--workspace", str(folder / "w"), *short]
    cost([sys.executable, "-m", "flows.cli", "run", *words], folder)
    print(f"\nNothing new, {images} images, everything made before:\n\n| command | CPU s | s |\n|---|--:|--:|")
    for name in NOTHING_NEW:
        recipe = words if name not in ("pretrain", "evaluate") else [words[0], *words[3:]]
        cpu, wall = cost([sys.executable, "-m", "flows.cli", name.replace("_", "-"), *recipe], folder)
        print(f"| {name} | {cpu:.1f} | {wall:.1f} |", flush=True)


def overhead(folder: Path, parts: int, seconds: float) -> None:
    """Print what Prefect adds to a stage of so many parts."""
    script = str(Path(__file__).with_name("prefect_parts.py"))
    rows = {how: cost([sys.executable, script, how, str(parts), str(seconds)], folder) for how in ("plain", "prefect")}
    added = rows["prefect"][0] - rows["plain"][0]
    real = parts * IMAGES_A_PART * MS_AN_IMAGE / 1000
    print(f"\nA stage of {parts} parts of {seconds} CPU s:\n\n| how | CPU s | s |\n|---|--:|--:|")
    for how, (cpu, wall) in rows.items():
        print(f"| {how} | {cpu:.1f} | {wall:.1f} |")
    print(f"\nPrefect adds {added:.1f} CPU s: {added / parts * 1000:.0f} ms a part, its start included.")
    print(f"Of {parts} parts of {IMAGES_A_PART:,} images at {MS_AN_IMAGE} ms ({real:,.0f} CPU s): {added / real:.2%}.")
    print(f"It stays below 3 % from {added / parts / 0.03:.1f} CPU s a part on.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--parts", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=0.05)
    given = parser.parse_args()
    adopt_orphans()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}")
    with tempfile.TemporaryDirectory() as name:
        nothing_new(Path(name), given.images)
        overhead(Path(name), given.parts, given.seconds)
