"""Hash pairs at scale: CPU seconds and peak memory of all pairs within a Hamming distance, in one process.

    python tests/benchmarks/scale/hash_pairs.py 300000 1000000 [--distance 6] [--equal T]

Random balanced 64-bit hashes in eight orientations; a twentieth are another one with up to six bits flipped.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
from hardware import hardware

from curation.dedup.hash_pairs import hash_pairs
from curation.dedup.hash_tables import HashTables


def corpus(count):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (count, 64), dtype=np.uint8)
    copies = count // 20
    rows[:copies, :8] = rows[rng.integers(copies, count, copies), :8]
    for _ in range(6):
        bit = rng.integers(0, 64, copies)
        rows[np.arange(copies), bit // 8] ^= (rng.random(copies) < 0.5).astype(np.uint8) << (bit % 8).astype(np.uint8)
    return rows


def measure(count, distance, equal):
    rows = corpus(count)
    tables = HashTables(distance, equal) if equal else HashTables.of(distance, count)
    clock = time.process_time()
    found = len(hash_pairs(rows, tables)[0])
    spent = time.process_time() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"| {count:,} | {distance} | {tables.equal} | {len(tables.keys)} | {spent:.0f} | {peak:.2f} | {found:,} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hashes", type=int, nargs="*")
    parser.add_argument("--distance", type=int, default=6)
    parser.add_argument("--equal", type=int, default=0, help="equal blocks of a key; 0 = by the number of hashes")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.distance, options.equal)
        return
    print(hardware(), "One process.")
    print(
        "| hashes | distance | equal blocks | tables | CPU s | peak GiB | pairs |\n|--:|--:|--:|--:|--:|--:|--:|",
        flush=True,
    )
    for count in options.hashes:
        again = ["--measure", str(count), "--distance", str(options.distance), "--equal", str(options.equal)]
        subprocess.run([sys.executable, __file__, *again], check=True)


if __name__ == "__main__":
    main()
