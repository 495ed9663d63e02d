"""Copies found, beside imagededup: precision and recall over pairs, and CPU time, in one run.

    python tests/benchmarks/duplicates.py FOLDER

FOLDER holds `images/`, and either `truth.json` ({"files": {name: {"group", "kind"}}}) or `groups.csv`
(file,group) with an optional `pairs.csv` whose near_shot and ignore rows are left out of the score.
Quality rules are off: only copies are judged. Both walk images best first and drop those that match a kept one.
"""

import csv
import json
import os
import platform
import sys
import tempfile
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import shared.torchvision_cpu  # noqa: F401  imagededup imports torchvision

# isort: split
from imagededup.methods import PHash

from curation.params import CurationParams, QualityParams
from curation.sources import FolderSource
from curation.stages import index, select
from flows.recipe import Recipe
from flows.session import Session, Silent
from shared.contracts import DECISIONS, IMAGES
from shared.executors import Inline
from shared.storage import Store
from shared.tables import Rows

Pairs = set[frozenset[str]]


def dinoflow(images: Path) -> dict[str, list[str]]:
    """Return kept name → names dropped for it."""
    with tempfile.TemporaryDirectory() as workspace:
        recipe = Recipe(
            sources=(FolderSource(url=str(images)),), curation=CurationParams(quality=QualityParams(rules=()))
        )
        session = Session(recipe, Store(workspace), Inline(), Silent())
        decided, indexed = session.make(select), session.make(index)
        uris = Rows(session.store, indexed).table(IMAGES, ["uri"])["uri"].to_pylist()
        kept = Rows(session.store, decided).table(DECISIONS, ["kept_uri"])["kept_uri"].to_pylist()
    groups = defaultdict(list)
    for uri, kept_uri in zip(uris, kept, strict=True):
        if kept_uri:
            groups[Path(kept_uri).name].append(Path(uri).name)
    return groups


def imagededup(images: Path) -> dict[str, list[str]]:
    """Return the same from PHash at its default distance of 10, walked in its own order."""
    hasher = PHash(verbose=False)
    found = hasher.find_duplicates(
        encoding_map=hasher.encode_images(str(images), num_enc_workers=0), max_distance_threshold=10
    )
    groups: dict[str, list[str]] = {}
    gone: set[str] = set()
    for name in sorted(found):
        if name not in gone:
            groups[name] = [other for other in found[name] if other not in gone and other not in groups]
            gone.update(groups[name])
    return groups


def pairs_of(groups: Any) -> Pairs:
    """Return every pair inside every group."""
    return {frozenset(pair) for group in groups for pair in combinations(group, 2)}


def truth_of(folder: Path) -> tuple[Pairs, Pairs, dict[str, str]]:
    """Return true pairs, pairs to leave out, and the kind of each file."""
    groups, kinds, ignored = defaultdict(list), {}, set()
    if (folder / "truth.json").exists():
        for name, told in json.loads((folder / "truth.json").read_text())["files"].items():
            kinds[name] = told["kind"]
            if told["group"] is not None:
                groups[told["group"]].append(name)
    else:
        with (folder / "groups.csv").open() as file:
            for row in csv.DictReader(file):
                if row["group"]:
                    groups[row["group"]].append(Path(row["file"]).name)
        with (folder / "pairs.csv").open() as file:
            for row in csv.DictReader(file):
                if row["relation"] in ("near_shot", "ignore"):
                    ignored.add(frozenset((Path(row["a"]).name, Path(row["b"]).name)))
    return pairs_of(groups.values()) - ignored, ignored, kinds


def main(folder: Path) -> None:
    """Print the table."""
    true, ignored, kinds = truth_of(folder)
    count = sum(1 for _ in (folder / "images").iterdir())
    print(f"{folder.name}: {count} files, {len(true)} true pairs · {platform.processor() or platform.machine()}")
    print(f"{'':<12} {'precision':>9} {'recall':>7} {'CPU ms/image':>13}  missed kinds")
    for tool in (dinoflow, imagededup):
        started = sum(os.times()[:4])  # with the processes that a tool starts and ends
        groups = tool(folder / "images")
        cpu = (sum(os.times()[:4]) - started) / count * 1000
        found = pairs_of([kept, *copies] for kept, copies in groups.items()) - ignored
        right = len(found & true)
        missed: dict[str, int] = defaultdict(int)
        for pair in true - found:
            for kind in {kinds.get(name, "") for name in pair} - {"base", ""}:
                missed[kind] += 1
        worst = ", ".join(f"{kind} {n}" for kind, n in sorted(missed.items(), key=lambda item: -item[1])[:6])
        print(f"{tool.__name__:<12} {right / max(1, len(found)):>9.3f} {right / len(true):>7.3f} {cpu:>13.1f}  {worst}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
