"""The exchange at many parts: CPU seconds, peak memory, files opened and bytes of payload, in one process.

    python tests/benchmarks/scale/shuffle.py 100 300 1000 10000 [--old-until 300]

Parts of 100 rows (uri of 60 bytes, word, eight floats), buckets of 1,000 rows; beside it, up to --old-until parts, one
reader for each bucket that opens every part.
"""

import argparse
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from hardware import hardware

from shared.params import Params
from shared.schema import Contract
from shared.stage import stage
from shared.stage_runner.orders import StageRun, place
from shared.stage_runner.shuffle import shuffle
from shared.stage_runner.slots import slots, spans
from shared.storage import Store
from shared.tables import Output, Part, commit_part, read_part

FLOATS = {f"f{i}": "float32" for i in range(8)}
TABLE = Contract("table", {"uri": "string", "word": "word", "key": "id", **FLOATS})
KEPT = Contract("kept", {"uri": "string"}, aligned=None)
ROWS, BUCKET = 100, 1000


class NoParams(Params):
    """Nothing to choose."""


def keyed(rows: pa.Table, *, params: NoParams) -> pa.Table:
    return rows


@stage(reads=(TABLE,), writes=KEPT, shape="exchange", scatter=keyed)
def kept(rows: pa.Table, *, params: NoParams) -> pa.Table:
    """Meet by key."""
    return rows


def part(store, number):
    rng = np.random.default_rng(number)
    columns = {
        "uri": pa.array([f"file:///data/source/folder-{number:06d}/image-{row:012d}.jpg" for row in range(ROWS)]),
        "word": pa.array(rng.choice(["a", "b", "c"], ROWS)).dictionary_encode(),
        "key": pa.array([key.tobytes() for key in rng.integers(0, 256, (ROWS, 16), dtype=np.uint8)], pa.binary(16)),
        **{name: pa.array(rng.random(ROWS, dtype=np.float32)) for name in FLOATS},
    }
    return commit_part(store, "table", pa.table(columns).cast(TABLE.schema))


@dataclass(frozen=True)
class Bucket:
    """The exchange of before: a span of slots, and every scattered part to gather it from."""

    workspace: str
    scattered: tuple[str, ...]
    number: int
    span: tuple[int, int]


def scatter(store, inputs, number):
    rows = read_part(store, "table", inputs[0].parts[number].name)
    rows = rows.append_column("slot", pa.array(slots(rows["key"])))
    return commit_part(store, "kept/scatter", rows.sort_by("slot"), f"{number:08d}").name


def merge_one(bucket):
    low, high = bucket.span
    store, inside = Store(bucket.workspace), [("slot", ">=", low), ("slot", "<", high)]
    pieces = [read_part(store, "kept/scatter", name, filters=inside) for name in bucket.scattered]
    rows = pa.concat_tables(pieces).unify_dictionaries().drop_columns(["slot"]).combine_chunks()
    rows = rows.sort_by([("key", "ascending"), ("uri", "ascending")])
    rows = rows.set_column(rows.column_names.index("word"), "word", rows["word"].cast(pa.string()))
    return bucket.number, commit_part(store, "kept/buckets", rows)


def new(inputs, store, sizes):
    def run(fn, work):
        sizes.extend(len(pickle.dumps(task)) for task in work)
        return map(fn, work)

    work = StageRun(kept, NoParams(), store.url, tuple(output.seal(store, {}) for output in inputs))
    return [(bucket.number, bucket.content) for bucket in shuffle(work, place(work), BUCKET, run)]


def old(inputs, store, sizes):
    names = tuple(scatter(store, inputs, i) for i in range(len(inputs[0].parts)))
    buckets = [Bucket(store.url, names, i, s) for i, s in enumerate(spans(inputs[0].rows, BUCKET))]
    sizes.append(len(pickle.dumps(buckets[0])))
    return [(number, part.name) for number, part in map(merge_one, buckets) if part.rows]


def measure(parts, which, folder):
    store, sizes = Store(folder), []
    made = tuple(part(store, number) for number in range(parts)) if which == "make" else ()
    if which == "make":
        store.write("parts.pickle", pickle.dumps(made))
        return
    inputs: tuple[Part, ...] = pickle.loads(store.read("parts.pickle"))
    output = (Output("table", "k", "images", inputs),)
    clock = time.process_time()
    found = {"new": new, "old": old}[which](output, store, sizes)
    spent = time.process_time() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| {parts:,} | {which} | {len(found):,} | {spent:.1f} | {peak:.2f} | {max(sizes):,} |", flush=True)
    store.write(f"{which}.txt", repr(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", type=int, nargs="*")
    parser.add_argument("--old-until", type=int, default=300)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        parts, which, folder = options.measure
        measure(int(parts), which, folder)
        return
    print(hardware(), "One process.")
    print(
        "| parts | exchange | buckets | CPU s | peak GiB | largest payload, bytes |\n|--:|---|--:|--:|--:|--:|",
        flush=True,
    )
    for parts in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            whiches = ["make", "new", *(["old"] if parts <= options.old_until else [])]
            for which in whiches:
                subprocess.run([sys.executable, __file__, "--measure", str(parts), which, folder], check=True)
            if "old" in whiches:
                assert Store(folder).read("old.txt") == Store(folder).read("new.txt")


if __name__ == "__main__":
    main()
