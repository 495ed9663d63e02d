"""Edges to decisions: CPU seconds and peak memory of components, batches and the star rule, in one process.

    python tests/benchmarks/scale/star_components.py 1000000 3000000 [--giant SHARE]

Three edges an image on average: clusters of some 15 images, and `giant` of all images in one component.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
from hardware import hardware
from label_rounds import by_rounds

from curation.dedup.components import components
from curation.dedup.star_components import StarEdges, batches, star_rule


def graph(images, giant):
    rng = np.random.default_rng(0)
    worse = rng.integers(0, images, 3 * images)
    cluster = worse // 15 * 15
    better = np.where(worse < giant * images, rng.integers(0, max(1, int(giant * images)), len(worse)), cluster)
    better = np.where(better == cluster, cluster + rng.integers(0, 15, len(worse)), better)
    low, high = np.minimum(worse, better), np.maximum(worse, better)
    new = low < high
    kind, score = rng.integers(1, 3, new.sum()).astype(np.int8), rng.random(new.sum(), dtype=np.float32)
    return StarEdges(high[new], low[new], kind, score)


def measure(images, giant):
    edges, clock = graph(images, giant), []
    clock.append(time.process_time())
    pairs = np.stack([edges.worse, edges.better], axis=1)
    nodes, labels = components(pairs)
    clock.append(time.process_time())
    batch, giants = batches(labels[np.searchsorted(nodes, edges.worse)], 1_000_000)
    dropped = sum(len(star_rule(edges.take(batch == number)).item) for number in np.unique(batch))
    clock.append(time.process_time())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30 * 1024
    found = sum(len(part) for part in by_rounds(np.array_split(pairs, 8), 8))
    clock.append(time.process_time())
    assert found == len(nodes) - len(np.unique(labels))
    spent = np.diff(clock)
    print(
        f"| {images:,} | {len(batch):,} | {len(giants)} | {spent[0]:.1f} | {spent[1]:.1f} | {peak:.2f} "
        f"| {spent[2]:.1f} | {dropped:,} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=int, nargs="*")
    parser.add_argument("--giant", type=float, default=0.05)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.giant)
        return
    print(hardware(), f"One process; {options.giant:.0%} of the images in one component.")
    print("| images | edges | giants | components CPU s | star rule CPU s | peak GiB | by rounds CPU s | dropped |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    for images in options.images:
        again = ["--measure", str(images), "--giant", str(options.giant)]
        subprocess.run([sys.executable, __file__, *again], check=True)


if __name__ == "__main__":
    main()
