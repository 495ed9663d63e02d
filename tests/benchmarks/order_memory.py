"""What the order of a great dataset costs: memory, time to open, time for a sample, as Markdown.

    python tests/benchmarks/order_memory.py [--rows 20000000] [--batch 1024] [--batches 200] [--labelled]

Writes a manifest of so many rows (row groups of 100,000, parts of 1,000,000) into a temporary folder and asks the order
for batches as a run does, then for the last sample of an epoch. With labels, every id is read once to count what is
held out.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.catalog import MANIFEST
from shared.dataset_version import Published, open_version
from shared.storage import Store
from training.data.index import SampleIndex

GROUP, PART = 100_000, 1_000_000
IMAGE_BYTES, SHARD_IMAGES = 100_000, 10_000


def publish(workspace: Path, rows: int, labelled: bool) -> Published:
    """Write dataset.json and a manifest whose shards are not there."""
    root = workspace / "datasets" / "great" / "v0001"
    (root / "manifest").mkdir(parents=True)
    for number, first in enumerate(range(0, rows, PART)):
        row = np.arange(first, min(first + PART, rows))
        columns = {field.name: pa.nulls(len(row), field.type) for field in MANIFEST.schema}
        shard = pa.array(np.char.mod("shard-%06d.tar", row // SHARD_IMAGES))
        columns |= {"shard": shard, "offset": pa.array(row % SHARD_IMAGES * IMAGE_BYTES)}
        columns |= {"length": pa.array(np.full(len(row), IMAGE_BYTES))}
        if labelled:
            columns |= {"image_id": ids(len(row), number), "label": pa.array(np.char.mod("class %d", row % 1000))}
        table = pa.table(columns).cast(MANIFEST.schema)
        pq.write_table(table, root / "manifest" / f"part-{number:05d}.parquet", row_group_size=GROUP)
    (root / "dataset.json").write_text(json.dumps({"name": "great", "fingerprint": "test", "kept": rows}))
    return open_version(Store(str(workspace)), "great")


def ids(count: int, seed: int) -> pa.Array:
    """Return random ids of 32 hex digits."""
    digits = np.random.default_rng(seed).bytes(16 * count).hex().encode()
    return pa.Array.from_buffers(
        pa.utf8(), count, [None, pa.py_buffer(np.arange(count + 1, dtype=np.int32) * 32), pa.py_buffer(digits)]
    )


def resident() -> float:
    """Return the memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    """Print one row of a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--labelled", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = publish(Path(folder), asked.rows, asked.labelled)
        pa.default_memory_pool().release_unused()
        before, begun = resident(), time.perf_counter()
        index = SampleIndex(dataset, 0)
        opened = time.perf_counter() - begun
        empty, greatest, begun = resident() - before, 0.0, time.perf_counter()
        for batch in range(asked.batches):
            first = batch * asked.batch
            index.refs(list(range(first, first + asked.batch)))
            greatest = max(greatest, resident() - before)
        each = (time.perf_counter() - begun) / asked.batches / asked.batch
        begun = time.perf_counter()
        index.refs([len(index) - 1])
        jump = time.perf_counter() - begun
    print("| rows | row groups | open, s | opened, MB | reading, MB at most | µs / sample | jump to the end, ms |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    facts = f"{asked.rows:,} | {len(index.blocks):,} | {opened:.2f} | {empty:.0f} | {greatest:.0f}"
    print(f"| {facts} | {each * 1e6:.1f} | {jump * 1e3:.0f} |")


if __name__ == "__main__":
    main()
