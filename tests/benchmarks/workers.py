"""What a second worker gives: seconds of the clock and of CPU of `dinoflow curate` with one and with two, as Markdown.

    PYTHONPATH=tests python tests/benchmarks/workers.py FOLDER [--rounds 3] [--set curation.index.part_images=100 …]

Each curation begins with an empty workspace, one and two workers by turns; every process that a command starts counts.
One that is not counted goes before: Prefect makes its database in the first command of a home only. Ratios hold only
where two cores are free: the load is printed with them.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from prefect_cost import adopt_orphans, cost
from scale.hardware import hardware

WORKERS = 1, 2
FEW = 32
"""Images of the curation that is not counted."""


def curated(folder: Path, workers: int, settings: list[str], home: str) -> tuple[float, float]:
    """Return seconds of CPU and of the clock."""
    with tempfile.TemporaryDirectory(dir=home) as workspace:
        command = [sys.executable, "-m", "flows.cli", "curate", "--source", str(folder), "--workspace", workspace]
        words = [word for each in (f"compute.workers={workers}", *settings) for word in ("--set", each)]
        return cost([*command, *words], Path(home))


def main() -> None:
    """Curate by turns, and print each and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    adopt_orphans()
    print(hardware(), "\n\n| workers | clock, s | CPU, s | load before |\n|--:|--:|--:|--:|", flush=True)
    clocks: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    with tempfile.TemporaryDirectory() as home:
        few = tempfile.mkdtemp(dir=home)
        for path in sorted(options.folder.rglob("*.jpg"))[:FEW]:
            shutil.copy(path, few)
        curated(Path(few), 2, options.settings, home)
        for _ in range(options.rounds):
            for workers, walls in clocks.items():
                load = os.getloadavg()[0]
                cpu, wall = curated(options.folder, workers, options.settings, home)
                walls.append(wall)
                print(f"| {workers} | {wall:.1f} | {cpu:.1f} | {load:.1f} |", flush=True)
    one, two = (statistics.median(walls) for walls in clocks.values())
    print(f"\nOne worker takes {one / two:.2f} times as long as two (medians of {options.rounds}).")


if __name__ == "__main__":
    main()
