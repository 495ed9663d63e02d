"""What a second worker gives: seconds of the clock and of CPU of `dinoflow curate` with one and with two, as Markdown.

    python tests/benchmarks/scale/workers.py FOLDER [--rounds 3] [--set curation.index.part_images=100 …]

Each curation begins with an empty workspace, one and two workers by turns; every process that a command starts counts.
Ratios hold only where two cores are free: the load is printed with them.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hardware import hardware

ROOT = Path(__file__).parents[3]
WORKERS = 1, 2


def curated(folder, workers, settings):
    """Return seconds of the clock, of CPU, and the load before."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "flows.cli", "curate", "--source", str(folder), "--workspace", f"{home}/w"]
        for each in (f"compute.workers={workers}", *settings):
            command += ["--set", each]
        environment = {**os.environ, "PREFECT_HOME": f"{home}/prefect", "PYTHONPATH": str(ROOT)}
        load, before, start = os.getloadavg()[0], resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, load


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    print(hardware(), "\n\n| workers | clock, s | CPU, s | load before |\n|--:|--:|--:|--:|", flush=True)
    clocks = {workers: [] for workers in WORKERS}
    for _ in range(options.rounds):
        for workers in WORKERS:
            wall, cpu, load = curated(options.folder, workers, options.settings)
            clocks[workers].append(wall)
            print(f"| {workers} | {wall:.1f} | {cpu:.1f} | {load:.1f} |", flush=True)
    one, two = (statistics.median(clocks[workers]) for workers in WORKERS)
    print(f"\nOne worker takes {one / two:.2f} times as long as two (medians of {options.rounds}).")


if __name__ == "__main__":
    main()
