"""How many bytes an image the coordinator of each stage of the middle holds: peaks of memory at several sizes.

    OMP_NUM_THREADS=1 python tests/benchmarks/scale/held.py 100000 300000 [--stages dedup balance] [--write]

The tables of middle.py, an evaluation set of 1,000 images, and the planted pairs as verified ones. Each stage runs in a
process of its own, with two worker processes that are not counted; the bytes an image are the growth of its peak from
the first size to the last. Rows of pairs are in memory by their share of the images, as from ten million on, and uris a
part at a time, so that what is the same for any corpus does not pass for growth. `--write` puts the figures into
flows/plan/unit_costs.json, from which `dinoflow plan` tells the memory of a coordinator.
"""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from hardware import hardware
from middle import DIM, PART, make, part_of, peak_bytes, unit

from curation import stages
from curation.dedup import candidate_parts, comparable_parts
from curation.params.balance import BalanceParams
from curation.params.copies import DecontaminateParams, DedupParams
from flows.plan.unit_costs import TABLE
from shared.catalog import VERIFIED
from shared.launch.executors import Inline, processes_for
from shared.params import Compute
from shared.stage_runner import run
from shared.storage import Store
from shared.tables import Output, commit_part, sealed

SET, PAIRS = 1000, 2000
NEAR = {"embedder": {"kind": "efficientnet-lite0"}, "candidates": {"layout": False, "cosine": 0.7}}
DEDUP = DedupParams.model_validate({"near": NEAR})
SETS = [{"name": "s", "source": {"kind": "folder", "url": "x"}}]
PARAMS = {
    "candidates": DEDUP,
    "decontaminate": DecontaminateParams.model_validate({"sets": SETS, "dedup": DEDUP.model_dump()}),
    "dedup": DEDUP,
    "balance": BalanceParams(enabled=True, target=0.5),
}


def prepare(store, rows):
    """Write all tables that the stages read."""
    planted = make(store, rows)
    topics = unit(np.random.default_rng(7).normal(size=(10, DIM)).astype(np.float32))
    images, measured, _ = part_of(10**6, PART, topics, np.zeros(100, np.int64))
    for name, table in (("references", images), ("measure_references", measured)):
        part = commit_part(store, name, table.slice(0, SET))
        Output(name, "made", "references", (part,)).seal(store, {"stage": name, "version": 1, "params": {}})
    pairs = [sorted(pair) for pair in planted]
    words = {"distance": pa.array([3] * len(pairs)), "score": pa.array([1.1] * len(pairs))}
    words |= {"verdict": pa.array(["copy"] * len(pairs)), "orientation": pa.array(["upright"] * len(pairs))}
    ends = {"uri": pa.array([p[0] for p in pairs]), "other_uri": pa.array([p[1] for p in pairs])}
    table = pa.table(ends | {"set": pa.nulls(len(pairs), pa.string())} | words).cast(VERIFIED.schema)
    parts = [commit_part(store, "verify", table.slice(start, PAIRS)) for start in range(0, len(table), PAIRS)]
    Output("verify", "made", "candidates", tuple(parts)).seal(store, {})


def stage_peak(folder, name):
    """Run a stage; print the most memory that this process has had, in bytes."""
    candidate_parts.AT_ONCE = comparable_parts.GATHERED = 1
    store, stage = Store(folder), getattr(stages, name)
    nothing = {each: Output(each, "idle", None, ()) for each in ("decontaminate", "dedup")}
    inputs = {
        "candidates": ("references", "measure_references"),
        "decontaminate": ("references", "measure_references", "verify"),
        "dedup": ("verify", "decontaminate"),
        "balance": ("decontaminate", "dedup"),
    }[name]
    tables = [nothing.get(each) or sealed(store, each, "made") for each in ("index", "measure", "quality", *inputs)]
    workers = processes_for(Compute(workers=2))
    here = stage.shape == "reduce"  # one worker does it all
    run(stage, PARAMS[name], tables, store=store, executor=Inline() if here else workers)
    workers.close()
    print(peak_bytes(os.getpid()))


def record(rows, peaks):
    """Write what each stage holds of an image, and beside all images, into the table that a plan reads."""
    table = json.loads(TABLE.read_text())
    held = table.setdefault("held", {"stages": {}})["stages"]
    for name, (least, *_, most) in peaks.items():
        each = (most - least) / (rows[-1] - rows[0])
        today = datetime.date.today().isoformat()
        held[name] = {"bytes": round(each), "constant": round(most - each * rows[-1]), "images": [rows[0], rows[-1]]}
        held[name] |= {"date": today, "hardware": hardware()}
    TABLE.write_text(json.dumps(table, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*")
    parser.add_argument("--stages", nargs="*", default=list(PARAMS))
    parser.add_argument("--folder", type=Path, default=Path("/tmp/dinoflow-held"))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        stage_peak(*options.peak)
        return
    peaks = {name: [] for name in options.stages}
    for rows in options.rows:
        folder = options.folder / str(rows)
        shutil.rmtree(folder, ignore_errors=True)
        prepare(Store(str(folder)), rows)
        for name, of_stage in peaks.items():
            again = [sys.executable, __file__, "--peak", str(folder), name]
            of_stage.append(int(subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout))
        shutil.rmtree(folder)
    if options.write:
        record(options.rows, peaks)
    print(hardware())
    print(f"| stage | {' | '.join(f'GiB at {rows:,}' for rows in options.rows)} | bytes an image |")
    print(f"|---|{'--:|' * (len(options.rows) + 1)}")
    for name, of_stage in peaks.items():
        each = (of_stage[-1] - of_stage[0]) / (options.rows[-1] - options.rows[0])
        print(f"| {name} | {' | '.join(f'{peak / 2**30:.2f}' for peak in of_stage)} | {each:.0f} |")


if __name__ == "__main__":
    main()
