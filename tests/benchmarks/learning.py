"""Whether pre-training on real images learns: k-NN of the teacher over a run, seed by seed, as Markdown.

    python tests/benchmarks/learning.py LABELS.csv --label COLUMN [--recipe laptop] [--workspace DIR] [--seeds 3]

LABELS.csv names images (`path`), their class and their split. The train split is curated once and trained on without
labels; the test split is asked of it by k-NN, beside the untrained model and 16×16 pixels. These are dinoflow's own
commands, one after the other. What is in DIR is not made again, so a killed run goes on, and seeds may be run apart
(`--only 1`) and printed together. CPU is user and system time of `pretrain`, its loaders included.
"""

import argparse
import csv
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch

from flows.report.run.score_table import scored_checkpoints
from shared.dataset_version import FOLDER
from shared.storage import Store

CPU_FILE = "cpu_seconds.txt"
"""In a run's folder: one line for each time that the run went on."""
CHECKPOINTS = 6


class Trained(NamedTuple):
    """One seed's run."""

    checkpoints: list[dict[str, Any]]
    """What each checkpoint got, by step; the first also holds what the baselines got."""
    images: int
    cpu: float


def dinoflow(command: str, asked: argparse.Namespace, settings: list[str], *words: str) -> dict[str, Any]:
    """Run a command of dinoflow, show its progress, and return its facts."""
    line = [sys.executable, "-m", "flows.cli", command, asked.recipe, "--workspace", asked.workspace, "--json", *words]
    line += [part for setting in settings for part in ("--set", setting)]
    print("·", "dinoflow", *line[3:], file=sys.stderr, flush=True)
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def list_of_training(asked: argparse.Namespace) -> Path:
    """Write the paths of the train split, which is all that training sees."""
    root = next(folder for folder in asked.labels.resolve().parents if (folder / _rows(asked)[0]["path"]).exists())
    found = Path(asked.workspace) / "train.txt"
    found.parent.mkdir(parents=True, exist_ok=True)
    found.write_text("".join(f"{root / row['path']}\n" for row in _rows(asked) if row["split"] == "train"))
    return found


def _rows(asked: argparse.Namespace) -> list[dict[str, str]]:
    with asked.labels.open() as file:
        return list(csv.DictReader(file))


def train(asked: argparse.Namespace, seed: int) -> Trained:
    """Pre-train with this seed, or go on; score every checkpoint."""
    test = {"kind": "manifest", "url": str(asked.labels.resolve()), "label": asked.label}
    settings = [*asked.settings, f"training.seed={seed}", f"training.keep_checkpoints={CHECKPOINTS + 1}"]
    before = children_cpu()
    facts = dinoflow("pretrain", asked, settings)
    store = Store(os.path.abspath(asked.workspace))
    log = Path(store.path("runs", facts["run"], CPU_FILE))
    with log.open("a") as file:
        file.write(f"{children_cpu() - before:.1f}\n")
    dinoflow("evaluate", asked, [*settings, f"evaluation.sets={json.dumps([test])}"])
    cpu = sum(map(float, log.read_text().split()))
    return Trained(scored_checkpoints(store, facts["run"]), facts["images_seen"], cpu)


def children_cpu() -> float:
    """Return the processor time of all commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(runs: list[Trained], seeds: list[int], title: tuple[str, str], digits: int) -> list[str]:
    """Return a table of one score: baselines and steps by seeds, with mean and standard deviation."""
    rows = {
        name: [run.checkpoints[0]["baselines"][key] for run in runs]
        for name, key in (("16×16 pixels", "pixels"), ("untrained", "random_init"))
    }
    rows |= {f"step {at['step']:,}": [run.checkpoints[n]["scores"] for run in runs] for n, at in enumerate(runs[0][0])}
    heads = ["teacher", *(f"seed {seed}" for seed in seeds), "mean ± sd"]
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)]]
    for name, found in rows.items():
        values = [_score(scores, title)["value"] for scores in found]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        told = [f"{value:.{digits}f}" for value in values]
        lines.append([name, *told, f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"])
    return ["| " + " | ".join(line) + " |" for line in lines]


def _score(scores: list[dict[str, Any]], title: tuple[str, str]) -> dict[str, Any]:
    return next(score for score in scores if (score["evaluation"], score["metric"]) == title)


def hardware() -> str:
    """Return the name and number of processors."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores, torch {torch.__version__}"


def main() -> None:
    """Curate, train and score each seed, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--label", default="label")
    parser.add_argument("--recipe", default="laptop")
    parser.add_argument("--workspace", default=os.path.join(tempfile.gettempdir(), "dinoflow-learning"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", type=int, action="append", help="this seed alone; repeatable")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    seeds = asked.only or list(range(asked.seeds))
    if not Store(os.path.abspath(asked.workspace)).exists(FOLDER):
        source = {"kind": "list", "url": str(list_of_training(asked))}
        dinoflow("curate", asked, [*asked.settings, f"sources={json.dumps([source])}"])
    runs = [train(asked, seed) for seed in seeds]
    knn = _score(runs[0].checkpoints[-1]["scores"], ("knn", "top1"))["protocol"]
    print(f"{hardware()}, {datetime.date.today()}")
    print(f"{runs[0].images:,} views drawn in a run; k-NN top-1, k = {knn['k']}, {knn['queries']:,} queries, ", end="")
    print(f"a bank of {knn['bank']:,}\n")
    print("\n".join(table(runs, seeds, ("knn", "top1"), 3)))
    print("\n".join(["\nLinear probe, top-1\n", *table(runs, seeds, ("linear", "top1"), 3)]))
    print("\n".join(["\nEffective rank\n", *table(runs, seeds, ("effective_rank", "rank"), 1)]))
    print("\nA run: " + " · ".join(f"{run.cpu:,.0f} CPU s" for run in runs))


if __name__ == "__main__":
    main()
