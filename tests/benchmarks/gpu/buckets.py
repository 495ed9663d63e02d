"""Buckets searched and filled by NumPy on one core and by FAISS on a GPU: seconds, and whether with the same bytes.

    OMP_NUM_THREADS=1 python tests/benchmarks/gpu/buckets.py [--small]

With `--small` NumPy alone is timed where there is no GPU.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[3]))

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup.ivf.assign import Probing, VectorPart, bucket_rows, visits_of
from curation.dedup.ivf.centroids import Centroids
from curation.dedup.ivf.grid import on_grid
from curation.dedup.ivf.products import gpu_products
from curation.dedup.ivf.search import search_bucket
from shared.launch.gpus import VISIBLE

REPEATS = 3


class Case(NamedTuple):
    """A corpus of clumps of some fifteen, of which one bucket is searched."""

    title: str
    rows: int
    buckets: int
    dim: int
    turns: int
    """Beside the vectors as they are."""
    margin: float


CASES = (
    Case("descriptor, a million images", 16_000, 16, 1024, 7, 0.0625),
    Case("network, a million images", 16_000, 16, 512, 0, 0.125),
    Case("network, 16 million images", 16_000, 4, 512, 0, 0.125),
)
MANY = Case("descriptor, 16 million images", 2_000, 4096, 1024, 7, 0.01)
SMALL = Case("small", 600, 4, 64, 1, 0.125)


def corpus(case: Case) -> tuple[VectorPart, Centroids, list[np.ndarray]]:
    """Return vectors, centroids and turns that are drawn from a seed."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(max(1, case.rows // 15), case.dim))
    vectors = centres[rng.integers(0, len(centres), case.rows)] + 0.7 * rng.normal(size=(case.rows, case.dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = rng.integers(0, 256, (case.rows, 16), dtype=np.uint8).view("V16").reshape(-1)
    centroids = Centroids(on_grid(rng.normal(size=(case.buckets, case.dim)).astype(np.float16)))
    return (
        VectorPart.of(ids, on_grid(vectors.astype(np.float16))),
        centroids,
        [rng.permutation(case.dim) for _ in range(case.turns)],
    )


def work_of(case: Case) -> dict[str, Callable[[], pa.Table]]:
    """Return both pieces of work of a case."""
    part, centroids, turns = corpus(case)

    def assign() -> pa.Table:
        return bucket_rows(part, visits_of(part.vectors, centroids, Probing(case.margin), turns))[0]

    rows = assign()
    first = rows.filter(pc.equal(rows["bucket"], 0)).combine_chunks()
    return {"assign": assign, "search": lambda: search_bucket(first, 0.6, 10, turns)}


@contextmanager
def given(gpu: bool) -> Iterator[None]:
    """Let this process be one that was given its GPU, or none."""
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = (before or "0") if gpu else ""
    gpu_products.cache_clear()
    try:
        yield
    finally:
        gpu_products.cache_clear()
        os.environ.pop(VISIBLE) if before is None else os.environ.update({VISIBLE: before})


def timed(work: Callable[[], pa.Table]) -> tuple[float, pa.Table]:
    """Return the median seconds of a piece of work, and its result; what is made once is made before."""
    result, seconds = work(), []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds), result


def line(case: Case, name: str, work: Callable[[], pa.Table], there: bool) -> str:
    """Measure one piece of work on both, and return its row of the table."""
    with given(gpu=False):
        slow, by_numpy = timed(work)
    about = f"| {name}, {case.title} | {len(by_numpy):,} | {case.dim} | {1 + case.turns} | {slow:.2f} "
    if not there:
        return f"{about}| - | - | - |"
    with given(gpu=True):
        fast, by_gpu = timed(work)
    return f"{about}| {fast:.2f} | {slow / fast:.1f} | {'yes' if by_gpu.equals(by_numpy) else 'NO'} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="rehearse on a CPU")
    asked = parser.parse_args()
    with given(gpu=True):
        there = gpu_products() is not None
    if not (asked.small or there):
        sys.exit("There is no GPU here that FAISS can use: nothing was measured. `--small` rehearses on the CPU.")
    print("| work | rows made | dim | orientations | NumPy, s | GPU, s | × | same bytes |")
    print("|---|--:|--:|--:|--:|--:|--:|---|", flush=True)
    chosen = [(SMALL, ("assign", "search"))] if asked.small else [*((each, ("search",)) for each in CASES)]
    chosen += [] if asked.small else [(MANY, ("assign",))]
    for case, names in chosen:
        works = work_of(case)
        for name in names:
            print(line(case, name, works[name], there), flush=True)


if __name__ == "__main__":
    main()
