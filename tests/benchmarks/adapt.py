"""Whether published weights become better on a domain, and how much of them a small student takes over, as Markdown.

    python tests/benchmarks/adapt.py LABELS.csv --start FILE [--set-name caltech20] [--seeds 3] [--workspace DIR]
    python tests/benchmarks/adapt.py LABELS.csv --start FILE --distil vit-s-6   a smaller student taught by FILE

LABELS.csv has the columns path, class, set and split. The train split is curated once and trained on without labels;
the test split is asked by k-NN, the published weights and every checkpoint at the same size. The recipe is `adapt`, at
sizes that a CPU can do (SMALL below). What is in DIR is not made again, so a killed run goes on. CPU is user and system
time of `pretrain`, its loaders included. A gain is told with the standard error of the difference of two shares, which
is wider than that of two answers to the same questions.
"""

import argparse
import csv
import datetime
import json
import os
import statistics
import tempfile
from math import sqrt
from pathlib import Path
from typing import Any

from learning import children_cpu, dinoflow, hardware

from flows.report.run.score_table import scored_checkpoints
from shared.storage import Store

SIDE = 98
SMALL = {
    "crops": {"global_size": SIDE, "global_scale": [0.4, 1.0], "local_size": 56, "local_count": 2, "shrink": 128},
    "objective": {"prototypes": 1024, "head_hidden": 512, "bottleneck": 128, "koleo_group": 16},
    "optim": {"steps": "10 epochs", "batch_size": 32, "warmup_steps": "1 epochs", "freeze_backbone": "1 epochs"},
    "checkpoint_every": "2 epochs",
}
DISTIL = {
    "crops": {"local_count": 0, "global_scale": [0.25, 1.0]},
    "objective": {"koleo_weight": 0.0, "distil": {"centred": True}},
    "optim": {"batch_size": 16, "layer_decay": 0.5, "start_lr_limit": 0, "momentum": [0.98, 0.998], "warmup_steps": 20},
    "checkpoint_every": 100,
    "keep_checkpoints": 20,
    "knn_every": 0,
}
STUDENTS: dict[str, dict[str, Any]] = {
    "vit-s-6": {
        "start_cut": "first",
        "model": {"size": "", "width": 384, "depth": 6, "heads": 6},
        "optim": {"steps": 400, "lr": 4e-4, "freeze_backbone": 100},
    },
    "vit-ti": {
        "start_cut": "even",
        "model": {"size": "", "width": 192, "depth": 12, "heads": 3},
        "optim": {"steps": 1200, "lr": 1e-3, "layer_decay": 0.9, "freeze_backbone": 50},
    },
    "vit-ti-from-nothing": {
        "start": "",
        "model": {"size": "", "width": 192, "depth": 12, "heads": 3, "layer_scale": 0.1},
        "objective": {"distil": {"centred": False}},
        "optim": {
            "batch_size": 32,
            "steps": 1200,
            "lr": 1e-3,
            "freeze_backbone": 0,
            "warmup_steps": 100,
            "layer_decay": 1.0,
            "patch_lr": 1.0,
            "momentum": [0.98, 0.999],
        },
        "checkpoint_every": 200,
    },
}
"""Half a ViT-S, and ViT-Ti/14 of 5.5 million parameters cut out of it or from chance: all taught by the whole ViT-S."""


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the base with the changes laid over it, group by group."""
    return base | {k: merged(base[k], v) if isinstance(base.get(k), dict) else v for k, v in changes.items()}


def settings_of(given: argparse.Namespace) -> list[str]:
    """Return the settings that make the shipped recipe small, or that make it distil."""
    changes: dict[str, Any] = merged(SMALL, {"start": str(given.start.resolve())})
    if given.distil:
        teacher = {"objective": {"distil": {"teacher": str(given.start.resolve())}}}
        for further in (DISTIL, STUDENTS[given.distil], teacher):
            changes = merged(changes, further)
    flat = [f"training.{key}={json.dumps(value)}" for key, value in _leaves(changes)]
    test = {"kind": "manifest", "url": str(given.labels.resolve()), "label": "class", "name": "domain"}
    if given.set_name:
        test["where"] = {"set": given.set_name}
    return [*flat, f"evaluation.sets={json.dumps([test])}", f"evaluation.image_size={SIDE}", *given.settings]


def _leaves(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves = []
    for key, value in values.items():
        leaves += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return leaves


def curate(given: argparse.Namespace) -> None:
    """Publish the train split, without labels that training could see."""
    with given.labels.open() as file:
        rows = [row for row in csv.DictReader(file) if given.set_name in ("", row["set"]) and row["split"] == "train"]
    root = next(folder for folder in given.labels.resolve().parents if (folder / rows[0]["path"]).exists())
    listed = Path(given.workspace) / "train.txt"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text("".join(f"{root / row['path']}\n" for row in rows))
    source = json.dumps([{"kind": "list", "url": str(listed)}])
    dinoflow("curate", given, [f"sources={source}", *given.settings])


def train(given: argparse.Namespace, seed: int) -> tuple[list[tuple[int, float]], float]:
    """Train with this seed, or go on; return k-NN by step, and CPU seconds over all starts."""
    settings = [*settings_of(given), f"training.seed={seed}"]
    before = children_cpu()
    run = dinoflow("pretrain", given, settings)["run"]
    store = Store(os.path.abspath(given.workspace))
    log = Path(store.path("runs", run, "cpu_seconds.txt"))
    with log.open("a") as file:
        file.write(f"{children_cpu() - before:.1f}\n")
    dinoflow("evaluate", given, settings)
    values = [(one["step"], knn_of(one["scores"])["value"]) for one in scored_checkpoints(store, run)]
    return values, sum(map(float, log.read_text().split()))


def knn_of(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the k-NN score."""
    return next(score for score in scores if (score["evaluation"], score["metric"]) == ("knn", "top1"))


def published(given: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the k-NN of the weights as they come, and of raw pixels."""
    settings = [one for one in settings_of(given) if one.startswith("evaluation.")]
    facts = dinoflow("evaluate", given, settings, "--model", str(given.start.resolve()))
    rows = {name: [row for row in facts["results"] if row["model"] == name] for name in ("pixels", given.start.stem)}
    return knn_of(rows[given.start.stem]), knn_of(rows["pixels"])


def main() -> None:
    """Curate, train and score each seed, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--start", type=Path, required=True, help="the published weights")
    parser.add_argument("--set-name", default="", help="only the rows of this set")
    parser.add_argument("--distil", choices=STUDENTS, help="teach this smaller student instead")
    parser.add_argument("--workspace", default=os.path.join(tempfile.gettempdir(), "dinoflow-adapt"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    given.recipe = "adapt"
    if not Store(os.path.abspath(given.workspace)).exists("datasets"):
        curate(given)
    before, pixels = published(given)
    runs = [train(given, seed) for seed in range(given.seeds)]
    queries = before["protocol"]["queries"]
    print(f"{hardware()}, {datetime.date.today()}; k-NN top-1, {queries:,} queries, crops of {SIDE} pixels\n")
    print("| | " + " | ".join(f"seed {seed}" for seed in range(given.seeds)) + " | mean ± sd |")
    print("| --- |" + " --: |" * (given.seeds + 1))
    rows = [("16×16 pixels", [pixels["value"]] * given.seeds), ("published weights", [before["value"]] * given.seeds)]
    rows += [(f"step {step:,}", [run[0][number][1] for run in runs]) for number, (step, _) in enumerate(runs[0][0])]
    for name, values in rows:
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(
            f"| {name} | "
            + " | ".join(f"{v:.3f}" for v in values)
            + f" | {statistics.mean(values):.3f} ± {spread:.3f} |"
        )
    last, bar = statistics.mean(rows[-1][1]), before["value"]
    error = sqrt((last * (1 - last) + bar * (1 - bar)) / queries)
    print(f"\nLast step less published: {last - bar:+.3f} ± {error:.3f}; share of the published k-NN: {last / bar:.0%}")
    print("A run: " + " · ".join(f"{cpu:,.0f} CPU s" for _, cpu in runs))


if __name__ == "__main__":
    main()
