"""What the coordinator holds over a corpus: its memory and CPU seconds, with the metadata of every part and no row.

    python tests/benchmarks/scale/coordinator.py 10000000 100000000 [--part 10000] [--shard 8192]

Parts, seals, pieces, orders, buckets, sections and shards are those of a curation of so many images; what workers would
do is answered at once, with the names, counts and digests that they would return. A twentieth of the parts of the index
is spoken of by each part of duplicates. Every size is a process of its own; memory is its peak so far.
"""

import argparse
import base64
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hardware import hardware

from curation.params import PackParams, SelectParams
from curation.publish.append import append_version
from curation.publish.append.append_version import Work, append
from curation.publish.append.draft import Draft
from curation.publish.append.new_shards import Shard
from curation.publish.append.section import Section, Survey
from curation.publish.append.section_tables import SectionTables
from curation.stages import pack, select
from shared.catalog import DECISIONS, DUPLICATES, IMAGES, MEASUREMENTS, PACKED, VERDICTS
from shared.launch.progress import silent
from shared.stage_runner import run
from shared.stage_runner.shuffle import MergedBucket
from shared.storage import Store
from shared.tables import FOLDER, Output, Part, part_name, recorded

REASONS = {"exact_duplicate": 3, "near_duplicate": 2, "blurry": 1, "dark": 1}


def digest(*facts):
    return hashlib.blake2b(repr(facts).encode(), digest_size=10).hexdigest()


def sha(*facts):
    return hashlib.sha256(repr(facts).encode()).hexdigest()


class Answering:
    """An executor whose workers answer without working."""

    def __init__(self, part_rows, bucket_rows):
        self.part_rows, self.bucket_rows = part_rows, bucket_rows

    def map(self, fn, items, label, needs=None):
        for item in items:
            yield from [getattr(self, fn.__name__)(item)]

    def make_part(self, piece):
        facts = {"content": digest(piece.name), "first": f"{piece.number:032x}", "dropped": sha(piece.name)}
        columns = PACKED if piece.bucket else DECISIONS
        return part_of(columns, piece.name, piece.rows, facts if piece.bucket else {})

    def gather(self, piece):
        return digest("gather", piece.begin)

    def merge(self, piece):
        return [MergedBucket(n, digest("bucket", n), self.bucket_rows) for n in range(piece.first, piece.last)]

    def survey(self, section):
        return Survey(section.number, self.bucket_rows, {})

    def write_planned(self, plan):
        images = sum(one.stop - one.start for one in plan.slices)
        return Shard(
            plan.number,
            f"shard-{digest(plan.number)[:16]}.tar",
            images,
            images * 10**5,
            images * 10**5,
            sha(plan.number),
        )

    def write_tables(self, work):
        tables = {kind: f"{kind}/part-{work.section.number:06d}.parquet" for kind in ("manifest", "dropped")}
        return SectionTables(work.section.number, tables, {name: sha(name) for name in tables.values()}, "0" * 32)


def part_of(contract, name, rows, facts, covers=None):
    """A part as a worker gives it back, with strings of its own."""
    told = base64.b64encode(hashlib.shake_128(name.encode()).digest(9 * len(contract.columns))).decode()
    return Part(name, rows, dict(REASONS), facts, sha(name), covers, ",".join(contract.columns), told)


def parts_of(contract, stage, count, rows, covers=None):
    return tuple(part_of(contract, digest(stage, n), rows, {}, covers(n) if covers else None) for n in range(count))


def measure(rows, part, shard):
    """Walk through what a coordinator does; print a row of the table for each step."""
    count, clock = -(-rows // part), time.process_time()

    def line(what, more=""):
        nonlocal clock
        peak, now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, time.process_time()
        print(f"| {rows:,} | {count:,} | {what} | {now - clock:.1f} | {peak:.3f} | {more} |", flush=True)
        clock = now

    with tempfile.TemporaryDirectory() as folder:
        store, executor = Store(folder), Answering(part, shard)
        line("nothing yet")
        aligned = [
            Output(name, "made", "images", parts_of(contract, name, count, part)).seal(store, {})
            for name, contract in (("index", IMAGES), ("measure", MEASUREMENTS), ("quality", VERDICTS))
        ]
        speaking = parts_of(DUPLICATES, "dedup", -(-count // 8), part, lambda n: (8 * n, min(count, 8 * n + 8) - 1))
        duplicates = Output("dedup", "made", None, speaking).seal(store, {})
        idle = [Output(name, "idle", None, ()) for name in ("decontaminate", "balance")]
        seals = [sum(store.sizes(f"{FOLDER}/{output.stage}").values()) / 2**20 for output in (*aligned, duplicates)]
        line("four tables sealed", "MiB of seals: " + ", ".join(f"{size:.1f}" for size in seals))
        for output in aligned:
            recorded(store, output.stage, output.key)
        line("read again")
        decided = run(
            select, SelectParams(), [*aligned[1:], idle[0], duplicates, idle[1]], store=store, executor=executor
        )
        line("select")
        packed = run(pack, PackParams(shard_images=shard), [*aligned[:2], decided], store=store, executor=executor)
        line("exchange and pack", f"{len(packed.parts):,} buckets")
        sections = [
            Section(
                store.url, number, part_name("pack", one.name), f"{FOLDER}/pack/{one.name}/dropped.parquet", ("", "")
            )
            for number, one in enumerate(packed.parts)
        ]
        append_version._linked = lambda *_: "shards"
        draft = Draft(store, "images", "datasets/images/.tmp-draft")
        made = append(sections, None, Work(draft, executor, silent, shard, read_exif=False))
        draft._renamed({"name": "images", **made})
        info = Path(folder, "datasets/images/v0001/dataset.json").stat().st_size / 2**20
        line("publish: shards, tables, lists", f"{len(made['shards']):,} shards, dataset.json of {info:.0f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*")
    parser.add_argument("--part", type=int, default=10_000)
    parser.add_argument("--shard", type=int, default=8192)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.part, options.shard)
        return
    print(hardware(), f"Parts of {options.part:,}.")
    print("| images | parts | step | CPU s | peak GiB | |\n|--:|--:|---|--:|--:|---|", flush=True)
    for rows in options.rows:
        again = ["--measure", str(rows), "--part", str(options.part), "--shard", str(options.shard)]
        subprocess.run([sys.executable, __file__, *again], check=True)


if __name__ == "__main__":
    main()
