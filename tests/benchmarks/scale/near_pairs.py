"""Candidates at scale: CPU seconds, memory and recall of the near-pair search on synthetic vectors, in one process.

    OMP_NUM_THREADS=1 python tests/benchmarks/scale/near_pairs.py 1000000 3000000 [--shape topics|loose] [--folder DIR]

256-d unit vectors in float16 Parquet parts of 10,000: clusters of 15 on average whose pairs have cosines of .6 to .85,
a twentieth of all a near copy (cosine about .99) of another. `topics`: √clusters topics; two clusters of a topic have
cosine .5 between their centres. `loose`: centres anywhere, so that no bucket is better than chance for two clusters.
"""

import argparse
import math
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from hardware import hardware

from curation.dedup.ivf.assign import ASKS, TARGET
from curation.dedup.ivf.near_pairs import near_pairs
from curation.dedup.ivf.selection import VectorColumn, write_selection
from curation.dedup.ivf.task import NearSearch
from shared.storage import Store
from shared.storage.checked import read_table, write_table
from shared.tables import commit_part

DIM, PART, CLUSTER = 256, 10_000, 15


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def write_parts(folder, rows, shape):
    """Write the corpus part by part; centres are drawn again for each, from the same seed."""
    clusters = rows // CLUSTER
    topics = max(1, math.isqrt(clusters))
    rng = np.random.default_rng(7)
    topic = unit(rng.normal(size=(topics, DIM)).astype(np.float32))
    own = np.random.default_rng(8).integers(0, topics, clusters)
    names, store = [], Store(str(folder))
    for number in range(rows // PART):
        rng = np.random.default_rng([9, number])
        cluster = rng.integers(0, clusters, PART)
        centres = np.stack([np.random.default_rng([10, c]).normal(size=DIM) for c in cluster]).astype(np.float32)
        centres = unit(centres)
        if shape == "topics":
            centres = unit(math.sqrt(0.5) * topic[own[cluster]] + math.sqrt(0.5) * centres)
        share = rng.uniform(0.6, 0.85, (PART, 1)).astype(np.float32)
        vectors = unit(np.sqrt(share) * centres + np.sqrt(1 - share) * unit(rng.normal(size=(PART, DIM))))
        copies = PART // 20
        source = rng.integers(copies, PART, copies)
        vectors[:copies] = unit(vectors[source] + 0.15 * unit(rng.normal(size=(copies, DIM))))
        ids = rng.integers(0, 256, (PART, 16), dtype=np.uint8)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float16).ravel()), DIM)
        part = commit_part(store, "measure", pa.table({"vector": lists.cast(pa.list_(pa.float16()))}))
        names.append(f"part-{number:05d}.parquet")
        column = VectorColumn("measure", part.name, part.checksum, "vector")
        roles = np.full(PART, ASKS | TARGET, np.int8)
        write_selection(store, names[-1], column, np.arange(PART), ids.view("V16").reshape(-1), roles)
    return names


def without(store, names, add):
    """Write selections without the last rows of each part; return their names."""
    short = [f"search/{name}" for name in names]
    for name, again in zip(names, short, strict=True):
        rows = read_table(store, name)
        write_table(store, again, rows.slice(0, round(len(rows) * (1 - add))))
    return short


def measure(folder, bucket, cosine, add):
    """Search the corpus in this process; print one row of the table."""
    names = sorted(path.name for path in folder.glob("part-*.parquet"))
    clock, tasks = time.process_time(), {}

    def run(fn, work):
        began = time.process_time()
        results = [fn(task) for task in work]
        tasks[fn.__name__] = tasks.get(fn.__name__, 0) + time.process_time() - began
        return results

    plan, rows, store = NearSearch(cosine, 10, bucket_rows=bucket), len(names) * PART, Store(str(folder))
    if add:  # all but so many of each part, before the clock starts
        near_pairs(store, "search", without(store, names, add), rows, plan, "search/pins", memory="search/memory")
        clock = time.process_time()
    found = near_pairs(store, "search", names, rows, plan, "search/pins", run, memory="search/memory")
    spent = time.process_time() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    written = sum(path.stat().st_size for path in (folder / "search").rglob("*.*")) / 2**30
    parts = ", ".join(f"{name} {seconds:.0f}" for name, seconds in tasks.items())
    print(
        f"| {len(names) * PART:,} | {bucket} | {spent:.0f} | {peak:.2f} | {found.recall:.4f} | {found.reached} "
        f"| {found.visits:.2f} | {found.largest:,} | {written:.1f} | {parts} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*")
    parser.add_argument("--shape", choices=["topics", "loose"], default="topics")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/dinoflow-near-pairs"))
    parser.add_argument("--bucket", type=int, default=1000)
    parser.add_argument("--cosine", type=float, default=0.7)
    parser.add_argument("--add", type=float, default=0.0, help="share that is new; the others were searched before")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.bucket, options.cosine, options.add)
        return
    print(hardware(), options.shape, f"cosine {options.cosine}")
    print("| vectors | bucket | CPU s | peak GiB | recall | reached | visits | largest | GiB written | CPU s by task |")
    print("|--:|--:|--:|--:|--:|---|--:|--:|--:|---|", flush=True)
    for rows in options.rows:
        folder = options.folder / f"{options.shape}-{rows}"
        folder.mkdir(parents=True, exist_ok=True)
        if len(list(folder.glob("part-*.parquet"))) != rows // PART:
            write_parts(folder, rows, options.shape)
        shutil.rmtree(folder / "search", ignore_errors=True)
        again = ["--measure", str(folder), "--bucket", str(options.bucket), "--cosine", str(options.cosine)]
        again += ["--add", str(options.add)]
        subprocess.run([sys.executable, __file__, *again], check=True)
        shutil.rmtree(folder / "search")


if __name__ == "__main__":
    main()
