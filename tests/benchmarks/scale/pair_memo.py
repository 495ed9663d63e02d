"""What verify costs after a change of the recipe, beside its first run: CPU seconds and pairs whose pixels were read.

    python tests/benchmarks/scale/pair_memo.py FOLDER_OF_IMAGES [--changes "first run" "no quality rule"]

One process. Everything before verify is made anew where the change asks for it, and not counted.
"""

import argparse
import tempfile
import time
from pathlib import Path

from hardware import hardware

from curation.dedup import verify as module
from curation.stages import STAGES
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store

CHANGES = {
    "first run": {},
    "nothing new, another partition": {"index": {"part_images": 64}},
    "dedup.near.threshold": {"dedup": {"near": {"threshold": 1.05}}},
    "dedup.keep": {"dedup": {"keep": ("pixels",)}},
    "a quality rule": {"quality": {"rules": [{"kind": "blurry", "threshold": 0.3}]}},
    "no quality rule": {"quality": {"rules": []}},
}


def spent(folder, workspace, change):
    """Return the CPU seconds of verify, and its pairs."""
    recipe = Recipe.model_validate({"sources": [{"kind": "folder", "url": str(folder)}], "curation": change})
    session = Session(recipe, Store(workspace), Inline(), Silent())
    stages = {stage.name: stage for stage in STAGES}
    session.make(stages["candidates"])
    clock = time.process_time()
    output = session.make(stages["verify"])
    return time.process_time() - clock, output.rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--changes", nargs="+", choices=CHANGES, default=[*CHANGES][:-1], help="one after the other")
    options = parser.parse_args()
    compared, compare = [], module.compared
    module.compared = lambda one, other: compared.append(1) or compare(one, other)
    print(hardware(), "One process.")
    print("| change | pairs | compared | verify CPU s | share of the first |\n|---|--:|--:|--:|--:|", flush=True)
    with tempfile.TemporaryDirectory() as workspace:
        first = 0.0
        for name in options.changes:
            compared.clear()
            seconds, pairs = spent(options.folder, workspace, CHANGES[name])
            first = first or seconds
            print(f"| {name} | {pairs:,} | {len(compared):,} | {seconds:.2f} | {seconds / first:.1%} |", flush=True)


if __name__ == "__main__":
    main()
