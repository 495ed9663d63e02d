"""The row memo at scale: CPU and wall milliseconds of a part's lookup, bytes that it touches in memory, one process.

    python tests/benchmarks/scale/memo.py [--rows 10000000] [--runs 10] [--asked 10000]
    python tests/benchmarks/scale/memo.py --moved FOLDER [--images 1500] [--rounds 3]

Rows hold 100 bytes. Half of the keys asked for are known. `near` keys begin alike, as those of one part of files do.
Contents are asked for 32 at a time, as files are read.

`--moved` measures the JPEGs of a folder by the stage, again after their folders were renamed, and once more into a new
workspace: CPU seconds of each, in every round anew.
"""

import argparse
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import pyarrow as pa
from hardware import hardware

from curation.params import IndexParams, MeasureParams
from curation.sources import FolderSource
from curation.stages import index, measure
from shared.launch.executors import Inline
from shared.stage_runner import run
from shared.stage_runner.memo import Memo
from shared.storage import Store

SCHEMA = pa.schema([("value", pa.binary(100))])
FOLDERS = 40
TOGETHER = 32


def fixed_binary(values: np.ndarray, width: int) -> pa.Array:
    """Return rows of bytes as an Arrow array, without a copy."""
    data = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.binary(width), len(data), [None, pa.py_buffer(data)])


def digests(rows, seed, near=None):
    keys = np.random.default_rng(seed).integers(0, 256, (rows, 16), dtype=np.uint8)
    if near is not None:
        keys[:, :2] = near
    return keys


def timed(fn):
    cpu, wall = time.process_time(), time.perf_counter()
    result = fn()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def measured(root, workspace):
    """Measure a folder by the stage."""
    store, sources = Store(str(workspace)), (FolderSource(url=str(root)),)
    listed = run(index, IndexParams(sources=sources), (), store=store, executor=Inline())
    return timed(lambda: run(measure, MeasureParams(), [listed], store=store, executor=Inline()))[1]


def moved(paths, rounds):
    """Print what it costs to measure files, and to measure them where they were moved."""
    print(
        hardware(), f"{len(paths)} JPEGs, {sum(path.stat().st_size for path in paths) / len(paths) / 1e3:.0f} kB each."
    )
    print("| round | all, CPU s | renamed | all, new workspace |\n|---|--:|--:|--:|")
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for i, path in enumerate(paths):
                target = Path(folder, "images", f"{i % FOLDERS:02}", f"{i:06}.jpg")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
            spent = [measured(f"{folder}/images", f"{folder}/workspace")]
            for old in Path(folder, "images").iterdir():
                old.rename(f"{folder}/images/renamed {old.name}")
            spent += [measured(f"{folder}/images", f"{folder}/{name}") for name in ("workspace", "new")]
        print(f"| {number + 1} | {' | '.join(f'{seconds:.2f}' for seconds in spent)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--asked", type=int, default=10_000)
    parser.add_argument("--moved", type=Path)
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.moved:
        moved(sorted(options.moved.rglob("*.jpg"))[: options.images], options.rounds)
        return
    folder = tempfile.mkdtemp()
    memo = Memo(Store(folder), "memo", SCHEMA)
    print(hardware(), f"{options.rows:,} rows, {options.asked:,} keys.")
    print("| what | runs | CPU ms | wall ms | known | peak GiB so far |\n|---|--:|--:|--:|--:|--:|")
    size = options.rows // options.runs
    values = pa.table({"value": fixed_binary(np.zeros((size, 100), np.uint8), 100)})
    half = options.asked // 2

    def line(what, cpu, wall, known):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"| {what} | {len(memo.runs())} | {cpu * 1e3:.0f} | {wall * 1e3:.0f} | {known:,} | {peak:.2f} |", flush=True
        )

    for number in range(options.runs):
        keys = fixed_binary(digests(size, number), 16)
        _, cpu, wall = timed(lambda keys=keys: memo.append(keys, values))
    line(f"append {size:,}", cpu, wall, 0)
    near = np.concatenate([digests(half, 0)[:0], digests(options.asked, 99, 7)])
    memo.append(fixed_binary(near[:half], 16), values.slice(0, half))
    asked = np.concatenate([digests(size, 0)[:half], digests(half, 98)])
    for _ in range(2):
        for what, keys in (("scattered", asked), ("near", near)):
            for attempt in ("first", "again"):
                (found, _), cpu, wall = timed(lambda keys=keys: memo.lookup(fixed_binary(keys, 16)))
                line(f"lookup, {what}, {attempt}", cpu, wall, len(found))
        some = [fixed_binary(asked[begin : begin + TOGETHER], 16) for begin in range(0, len(asked), len(asked) // 300)]
        listed = Memo(memo.store, memo.folder, SCHEMA, tuple(memo.runs()), whole=True)
        for attempt in ("first", "again"):
            found, cpu, wall = timed(lambda few=some, of=listed: sum(len(of.lookup(keys)[0]) for keys in few))
            line(f"{len(some)} lookups of {TOGETHER}, scattered, {attempt}", cpu, wall, found)
        if len(memo.runs()) > 1:
            _, cpu, wall = timed(lambda: memo.merge(memo.runs()))
            line("compact", cpu, wall, 0)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
