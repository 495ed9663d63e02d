"""Hash pairs at scale: CPU seconds and peak memory of all pairs within a Hamming distance, in one process.

    python tests/benchmarks/scale/hash_pairs.py 300000 1000000 [--distance 10]

Random balanced 64-bit hashes in eight orientations; a twentieth are another one with up to six bits flipped.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from hardware import hardware

from curation.dedup import hash_pairs
from curation.dedup.hash_tables import HashTables
from shared.stage_runner import Rounds
from shared.storage import Store


def corpus(count):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (count, 64), dtype=np.uint8)
    copies = count // 20
    rows[:copies, :8] = rows[rng.integers(copies, count, copies), :8]
    for _ in range(6):
        bit = rng.integers(0, 64, copies)
        rows[np.arange(copies), bit // 8] ^= (rng.random(copies) < 0.5).astype(np.uint8) << (bit % 8).astype(np.uint8)
    return rows


def measure(count, distance):
    """Find the pairs in this process; print a row of the table."""
    rows, tables = corpus(count), HashTables.of(distance, count)
    with tempfile.TemporaryDirectory() as folder:
        clock = time.process_time()
        every = np.arange(len(rows))
        hashes = hash_pairs.Hashes(every, every, lambda: rows)
        found = hash_pairs.near_hashes(Rounds(Store(folder), "rounds", map), "hashes", hashes, hashes, distance, 64)
        spent = time.process_time() - clock
    pairs, peak = len(found[0]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    by = f"{tables.count:,} tables of {tables.equal} blocks" if tables.equal else "comparing all"
    print(
        f"| {count:,} | {distance} | {by} | {spent:.1f} | {spent / count * 1e3:.3f} | {peak:.2f} | {pairs:,} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hashes", type=int, nargs="*")
    parser.add_argument("--distance", type=int, default=10)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.distance)
        return
    print(hardware(), "One process.")
    print(
        "| hashes | distance | by | CPU s | CPU ms each | peak GiB | pairs |\n|--:|--:|---|--:|--:|--:|--:|",
        flush=True,
    )
    for count in options.hashes:
        again = ["--measure", str(count), "--distance", str(options.distance)]
        subprocess.run([sys.executable, __file__, *again], check=True)


if __name__ == "__main__":
    main()
