"""Hash pairs at scale: CPU seconds and peak memory of all pairs within a Hamming distance, in one worker.

    python tests/benchmarks/scale/hash_pairs.py 300000 1000000 [--distance 10] [--share 32]

Random balanced 64-bit hashes in eight orientations; a twentieth are another one with up to six bits flipped. With
--share a worker may hold only that part of what it may: hashes are exchanged where they would not be. Exact to the
pair: the last column is a digest of all pairs.
"""

import argparse
import hashlib
import multiprocessing
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np
from hardware import hardware

from curation.dedup import hash_files, hash_pairs, hash_tables
from curation.dedup.hash_files import Hashes
from shared.stage_runner import Rounds
from shared.storage import Store

LIMITS = ("ASKED", "STORED", "FILE_ROWS", "IMAGES")
PIECE = 10_000
"""Images that are read together: a part of the measurements."""


def corpus(count):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (count, 64), dtype=np.uint8)
    copies = count // 20
    rows[:copies, :8] = rows[rng.integers(copies, count, copies), :8]
    for _ in range(6):
        bit = rng.integers(0, 64, copies)
        rows[np.arange(copies), bit // 8] ^= (rng.random(copies) < 0.5).astype(np.uint8) << (bit % 8).astype(np.uint8)
    return rows


def limit(share):
    """Let a process hold less."""
    modules = (hash_files, hash_tables, hash_pairs)
    for name in LIMITS:
        having = [module for module in modules if hasattr(module, name)]
        value = getattr(having[0], name) // share
        for module in having:
            setattr(module, name, value)


def spent(_=None):
    """Return CPU seconds, peak in GiB and gigabytes written of this process."""
    written = next(line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("wchar"))
    return time.process_time(), getrusage(RUSAGE_SELF).ru_maxrss / 2**20, int(written.split()[1]) / 1e9


def pieces(rows):
    for begin in range(0, len(rows), PIECE):
        places = np.arange(begin, min(len(rows), begin + PIECE))
        yield places, rows[places]


def measure(count, distance, share):
    """Find the pairs; print a row of the table."""
    limit(share)
    # Before there are hashes: what its parent holds would count as its peak.
    spawned = multiprocessing.get_context("spawn").Pool(1, limit, (share,))
    rows, every = corpus(count), np.arange(count)
    tables = hash_tables.HashTables.of(distance, count, count)
    hashes = Hashes(lambda: every, every, partial(pieces, rows))
    with tempfile.TemporaryDirectory() as folder, spawned as worker:
        before = spent(), worker.map(spent, [0])[0]
        rounds = Rounds(Store(folder), "rounds", partial(worker.imap, chunksize=1))
        found = hash_pairs.near_hashes(rounds, "hashes", hashes, hashes, distance, 64)
        after = spent(), worker.map(spent, [0])[0]
    cpu, _, written = (sum(one[i] - other[i] for one, other in zip(after, before, strict=True)) for i in range(3))
    by = f"{tables.count:,} of {tables.equal} blocks" if tables.equal else "comparing all"
    spans = hash_tables.spans(count, count)
    exchange = f"{tables.copies} copies, {spans} spans" if tables.shared else "none"
    digest = hashlib.sha256(np.stack(found).tobytes()).hexdigest()[:8]
    print(
        f"| {count:,} | {distance} | {by} | {exchange} | {cpu:.1f} | {cpu / count * 1e3:.3f} | {after[1][1]:.2f} "
        f"| {written:.2f} | {len(found[0]):,} | {digest} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hashes", type=int, nargs="*")
    parser.add_argument("--distance", type=int, default=10)
    parser.add_argument("--share", type=int, default=1, help="a worker may hold one of so many parts of what it may")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.distance, options.share)
        return
    print(hardware(), f"One worker, which may hold 1/{options.share} of what it may.")
    print(
        "| images | distance | tables | exchange | CPU s | CPU ms each | peak of the worker, GiB | GB written "
        "| pairs | digest |\n|--:|--:|---|---|--:|--:|--:|--:|--:|---|",
        flush=True,
    )
    for count in options.hashes:
        again = ["--measure", str(count), "--distance", str(options.distance), "--share", str(options.share)]
        subprocess.run([sys.executable, __file__, *again], check=True)


if __name__ == "__main__":
    main()
