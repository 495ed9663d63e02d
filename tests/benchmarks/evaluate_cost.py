"""What evaluation costs an image, in fp32 and in bf16, and what that changes of the scores.

    python tests/benchmarks/evaluate_cost.py MODEL IMAGES.csv ROOT [> tests/benchmarks/evaluate_cost.md]

IMAGES.csv has the columns path, label, split, its paths from ROOT on. CPU time of the whole command with its children,
less that of one with two images: start-up.
"""

import csv
import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

TIMES = 3


def evaluated(model: str, images: Path, root: str, precision: str, folder: str) -> tuple[float, list[dict[str, Any]]]:
    """Return CPU seconds of the command and its rows."""
    sets = f"evaluation.sets=[{{kind: manifest, url: {images}, root: {root}}}]"
    settings = [sets, f"evaluation.precision={precision}", "evaluation.pictures=0", "compute.device=cpu"]
    command = [sys.executable, "-m", "flows.cli", "evaluate", "--model", model, "--workspace", folder, "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command + [word for setting in settings for word in ("--set", setting)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, json.loads(done.stdout)["results"]


def main() -> None:
    """Measure, and print the table."""
    model, images, root = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    with images.open() as file:
        rows = list(csv.DictReader(file))
    with TemporaryDirectory() as folder:
        few = Path(folder) / "few.csv"
        label = rows[0]["label"]
        chosen = [row for row in rows if row["label"] == label]
        two = [next(row for row in chosen if row["split"] == split) for split in ("train", "test")]
        other = next(row for row in rows if row["label"] != label and row["split"] == "train")
        with few.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["path", "label", "split"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows([*two, other])
        cost, scores = {}, {}
        for precision in ("fp32", "bf16"):
            spent = [evaluated(model, images, root, precision, folder) for _ in range(TIMES)]
            start = median(evaluated(model, few, root, precision, folder)[0] for _ in range(TIMES))
            cost[precision] = (median(seconds for seconds, _ in spent) - start) / (len(rows) - 3) * 1000
            scores[precision] = {row["metric"]: row["value"] for row in spent[0][1] if row["model"] != "pixels"}
    print("# What evaluation costs\n")
    print(
        f"`python tests/benchmarks/evaluate_cost.py` on {platform.machine()}, {len(rows)} images, medians of {TIMES}.\n"
    )
    print("| | fp32 | bf16 |\n|---|--:|--:|")
    print(f"| CPU ms an image | {cost['fp32']:.0f} | {cost['bf16']:.0f} |")
    for metric, value in scores["fp32"].items():
        print(f"| {metric} | {value:.4f} | {scores['bf16'][metric]:.4f} |")


if __name__ == "__main__":
    main()
