"""What a run costs after a change that later stages do not read: CPU seconds, and the stages that made something.

    python tests/benchmarks/scale/cutoff.py [--images 1000]
    python tests/benchmarks/scale/cutoff.py --digests

Drawn pictures, a tenth of them once more in another size, some strips. Each change begins from the same workspace. With
`--digests`: what the digests of all columns cost, beside committing the part, and what they add to a seal.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from hardware import hardware

from flows import pipeline
from flows.demo.corpus.scene import CLASSES, picture
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.catalog import MEASUREMENTS
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store
from shared.tables import Output, commit_part, manifest_name

RULES = {"too_small": 32, "odd_aspect": 0.4, "blurry": 0.05}
CHANGES = {
    "nothing": {},
    "all files a minute later": {"touched": "in order"},
    "all files touched, in another order": {"touched": "shuffled"},
    "no labels": {"label": "none"},
    "a threshold: odd aspect .35, the same strips": {"rules": RULES | {"odd_aspect": 0.35}},
    "a threshold: too small 24, of which there are none": {"rules": RULES | {"too_small": 24}},
}


class Watched(Inline):
    """Remembers which stages made something."""

    def __init__(self):
        self.made = {}

    def map(self, fn, items, label, *needs):
        self.made |= {label.partition(":")[0]: True} if items else {}
        return super().map(fn, items, label, *needs)


def draw(root, images):
    rng, kinds = np.random.default_rng(0), [*CLASSES]
    for number in range(images):
        kind, strip = kinds[number % len(kinds)], number % 100 == 99
        drawn = picture(kind, rng, (320, 96) if strip else None)
        (root / kind).mkdir(parents=True, exist_ok=True)
        drawn.save(root / kind / f"{number:06}.jpg", quality=90)
        if number % 10 == 0:
            smaller = drawn.resize((drawn.width * 3 // 4, drawn.height * 3 // 4))
            smaller.save(root / kind / f"{number:06}-copy.jpg", quality=90)
    for second, path in enumerate(sorted(root.rglob("*.jpg"))):
        os.utime(path, (0, 1_000_000 + second))


def curated(root, workspace, label="folder", rules=RULES, touched=""):
    """Return the CPU seconds of a curation, and the stages that made something, but for the listing."""
    times = {path: path.stat().st_mtime for path in sorted(root.rglob("*.jpg"))}
    later = [*times.values()] if touched != "shuffled" else np.random.default_rng(1).permutation([*times.values()])
    for path, second in zip(times if touched else (), later, strict=bool(touched)):
        os.utime(path, (0, second + 60))
    curation = {
        "index": {"part_images": 200},
        "pack": {"shard_images": 256},
        "quality": {"rules": [{"kind": kind, "threshold": threshold} for kind, threshold in rules.items()]},
    }
    source = {"kind": "folder", "url": str(root), "label": label}
    recipe, watched = Recipe.model_validate({"sources": [source], "curation": curation}), Watched()
    clock = time.process_time()
    pipeline.curate(Session(recipe, Store(str(workspace)), watched, Silent()))
    seconds = time.process_time() - clock
    for path, second in times.items():
        os.utime(path, (0, second))
    return seconds, [name for name in watched.made if name != "index"]


def changes(images):
    print("| change | CPU s | stages that made something |\n|---|--:|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root, base = Path(folder, "images"), Path(folder, "base")
        draw(root, images)
        seconds, made = curated(root, base)
        print(f"| first run | {seconds:.2f} | {', '.join(made)} |", flush=True)
        for name, change in CHANGES.items():
            shutil.copytree(base, Path(folder, "again"))
            seconds, made = curated(root, Path(folder, "again"), **change)
            print(f"| {name} | {seconds:.2f} | {', '.join(made) or 'none'} |", flush=True)
            shutil.rmtree(Path(folder, "again"))


def measurements(rows, dimensions=256):
    rng, columns = np.random.default_rng(0), {}
    for field in MEASUREMENTS.schema:
        kind = field.type
        if pa.types.is_list(kind):
            width = {"vector": dimensions, "layout": 0, "scores": 1}[field.name]
            values = pa.array(rng.standard_normal(rows * width).astype(kind.value_type.to_pandas_dtype()))
            columns[field.name] = pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * width, values)
        elif pa.types.is_fixed_size_binary(kind):
            data = pa.py_buffer(rng.bytes(rows * kind.byte_width))
            columns[field.name] = pa.Array.from_buffers(kind, rows, [None, data])
        elif pa.types.is_dictionary(kind):
            columns[field.name] = pa.array(rng.choice(["JPEG", "PNG"], rows)).dictionary_encode()
        elif pa.types.is_string(kind):
            columns[field.name] = pa.nulls(rows, kind)
        else:
            columns[field.name] = pa.array(rng.integers(0, 1000, rows)).cast(kind)
    return pa.table(columns).cast(MEASUREMENTS.schema)


def digests(dimensions=256):
    from shared.tables.column_digests import column_digests

    print("| rows | digests, CPU ms | µs a row | committing the part, with them |\n|--:|--:|--:|--:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        store, parts = Store(folder), []
        for rows in (1_000, 10_000, 100_000):
            table, spent = measurements(rows, dimensions), []
            for work in (lambda: column_digests(table), lambda: parts.append(commit_part(store, "measure", table))):  # noqa: B023
                seconds = []
                for _ in range(5):
                    clock = time.process_time()
                    work()
                    seconds.append(time.process_time() - clock)
                spent.append(sorted(seconds)[2])
            print(f"| {rows:,} | {spent[0] * 1e3:.1f} | {spent[0] / rows * 1e6:.2f} | {spent[1] * 1e3:.0f} |")
        sizes = []
        for digest in (parts[0].digests, ""):
            part = type(parts[0])(**{**vars(parts[0]), "digests": digest})
            sealed = Output("measure", f"made{len(digest)}", "images", (part,) * 10_000).seal(store, {})
            clock = time.process_time()
            sealed.contents(MEASUREMENTS)
            spent = time.process_time() - clock
            sizes.append((len(store.read(manifest_name("measure", sealed.key))) / 2**20, spent))
    (size, spent), (without, _) = sizes
    print(
        f"\nA seal of 10,000 parts of 19 columns: {size:.1f} MiB, {without:.1f} without; its names: {spent:.2f} CPU s."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--digests", action="store_true")
    options = parser.parse_args()
    print(hardware(), "One process.\n")
    digests() if options.digests else changes(options.images)


if __name__ == "__main__":
    main()
