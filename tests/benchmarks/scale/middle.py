"""The middle of curation on synthetic tables: CPU seconds and peak memory of each stage, coordinator and workers.

    OMP_NUM_THREADS=1 python tests/benchmarks/scale/middle.py 100000 300000 [--folder DIR] [--distance 10] [--workers 2]
        [--add 1]

Tables of images in parts of 10,000, as measure and quality would write them: 256-d vectors in clusters of 15 whose
pairs have cosines of .6 to .85, in √clusters topics; a twentieth of all is a near copy of another image of its part
(cosine about .99, up to four bits of the hash, the same thumbnail). Thumbnails are soft patches, as photographs' are.
No pixel is read: of the candidates, those pairs are verified that were planted. Every size is a process of its own with
worker processes of its own. `--add 1` adds so many parts of 10,000 afterwards, and curates again: as an increment.
"""

import argparse
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import cv2
import numpy as np
import psutil
import pyarrow as pa
from hardware import hardware

from curation.dedup.geometry.windows import SIDE
from curation.dedup.thumbnails import LENGTH
from curation.params import PackParams, SelectParams
from curation.params.copies import DedupParams
from curation.stages import candidates, dedup, rows_to_pack, select
from shared.catalog import CANDIDATES, IMAGES, MEASUREMENTS, VERDICTS, VERIFIED
from shared.launch.executors import processes_for
from shared.params import Compute, ExchangeParams
from shared.schema import Contract
from shared.stage import stage
from shared.stage_runner import run
from shared.storage import Store
from shared.tables import Output, Rows, commit_part, sealed

DIM, PART, CLUSTER, COPIES = 256, 10_000, 15, 20
GATHERED = Contract("gathered", {"uri": "string"}, aligned=None)


class GatherParams(PackParams, ExchangeParams):
    """As pack, without its shards."""

    @property
    def bucket_rows(self) -> int:
        """Return the rows of a shard."""
        return 8192


@stage(reads=(IMAGES, MEASUREMENTS, select.writes), writes=GATHERED, shape="exchange", scatter=rows_to_pack)
def gathered(rows: pa.Table, *, params: GatherParams, files: object, number: int) -> pa.Table:
    """Meet by id, as the rows of shards do."""
    return rows.select(["uri"])


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def binary(rows, width):
    data = np.ascontiguousarray(rows)
    return pa.Array.from_buffers(pa.binary(width), len(data), [None, pa.py_buffer(data)])


def table(contract, count, columns):
    nulls = {field.name: pa.nulls(count, field.type) for field in contract.schema if field.name not in columns}
    return pa.table({field.name: {**columns, **nulls}[field.name] for field in contract.schema}).cast(contract.schema)


def vectors_of(rows, rng, topics, own):
    clusters = len(own)
    cluster = rng.integers(0, clusters, PART)
    centres = np.stack([np.random.default_rng([10, c]).normal(size=DIM) for c in cluster]).astype(np.float32)
    centres = unit(math.sqrt(0.5) * topics[own[cluster]] + math.sqrt(0.5) * unit(centres))
    share = rng.uniform(0.6, 0.85, (PART, 1)).astype(np.float32)
    return unit(np.sqrt(share) * centres + np.sqrt(1 - share) * unit(rng.normal(size=(PART, DIM))))


def thumbnails_of(rng):
    """Return thumbnails [n, 1152] of soft patches: as in photographs, neighbouring pixels are alike."""
    patches = rng.integers(0, 256, (PART, 6, 6), dtype=np.uint8)
    grays = np.stack([cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).ravel() for each in patches])
    return np.concatenate([grays, rng.integers(64, 192, (PART, LENGTH - SIDE * SIDE), dtype=np.uint8)], axis=1)


def part_of(number, rows, topics, own):
    """Return the images and measurements of a part, and its planted pairs (copy, original)."""
    rng = np.random.default_rng([9, number])
    vectors = vectors_of(rows, rng, topics, own)
    copies = PART // COPIES
    source = rng.integers(copies, PART, copies)
    vectors[:copies] = unit(vectors[source] + 0.15 * unit(rng.normal(size=(copies, DIM))))
    hashes = rng.integers(0, 256, (PART, 64), dtype=np.uint8)
    hashes[:copies] = hashes[source]
    for _ in range(4):
        hashes[np.arange(copies), rng.integers(0, 8, copies)] ^= np.uint8(1) << rng.integers(0, 8, copies).astype(
            np.uint8
        )
    thumbnails = thumbnails_of(rng)
    thumbnails[:copies] = thumbnails[source]
    ids = rng.integers(0, 256, (PART, 16), dtype=np.uint8)
    uris = [f"file:///data/source/folder-{number:06d}/image-{row:012d}.jpg" for row in range(PART)]
    words = {name: pa.array([word] * PART).dictionary_encode() for name, word in (("source", "s"), ("reader", "range"))}
    where = {"uri": pa.array(uris), "path": pa.array(uris), "stamp": pa.array(["1"] * PART)}
    images = table(IMAGES, PART, where | words)
    size = pa.array(np.full(PART, 512, np.int32))
    columns = {
        "image_id": binary(ids, 16),
        "pixels_id": binary(ids, 16),
        "width": size,
        "height": size,
        "format": pa.array(["JPEG"] * PART).dictionary_encode(),
        "bytes": pa.array(rng.integers(10**4, 10**5, PART)),
        "phash": binary(hashes[:, :8], 8),
        "hashes": binary(hashes, 64),
        "thumbnail": binary(thumbnails, LENGTH),
        "detail": pa.array(np.full(PART, 9, np.float32)),
        "vector": pa.array(list(vectors.astype(np.float16)), pa.list_(pa.float16())),
    }
    measured = table(MEASUREMENTS, PART, columns)
    return images, measured, [(uris[i], uris[j]) for i, j in zip(range(copies), source.tolist(), strict=True)]


def make(store, rows, more=0):
    """Write the tables of so many images, and those with so many parts more; return the pairs that are copies."""
    clusters = rows // CLUSTER
    topics = unit(np.random.default_rng(7).normal(size=(max(1, math.isqrt(clusters)), DIM)).astype(np.float32))
    own = np.random.default_rng(8).integers(0, len(topics), clusters)
    parts, planted = {"index": [], "measure": [], "quality": []}, []
    for number in range(rows // PART + more):
        images, measured, pairs = part_of(number, rows, topics, own)
        parts["index"].append(commit_part(store, "index", images))
        parts["measure"].append(commit_part(store, "measure", measured))
        parts["quality"].append(commit_part(store, "quality", table(VERDICTS, PART, {}), f"{number:020d}"))
        planted += [frozenset(pair) for pair in pairs]
    facts = {"version": 1, "params": {}}
    for name, made in parts.items():
        for key, count in (("made", rows // PART), ("more", len(made))):
            Output(name, key, "images", tuple(made[:count])).seal(store, {"stage": name} | facts)
    return planted


def tables(store, key="made"):
    """Return the tables: those of all images, or with those that came later."""
    return [sealed(store, name, key) for name in ("index", "measure", "quality")]


def verified_of(store, output, planted):
    """Return VERIFIED of the candidates, of which the planted pairs are copies, and how many those are."""
    found, parts = 0, []
    copies = set(planted)
    for read in Rows(store, output).tables(["uri", "other_uri", "set", "distance"]):
        pairs = zip(read["uri"].to_pylist(), read["other_uri"].to_pylist(), strict=True)
        same = np.array([frozenset(pair) in copies for pair in pairs], bool)
        found += int(same.sum())
        words = {"verdict": np.where(same, "copy", "other"), "orientation": np.full(len(same), "upright")}
        columns = {name: read[name] for name in read.column_names} | {"score": np.where(same, 1.1, 0.2)} | words
        parts.append(commit_part(store, "verify", pa.table(columns).cast(VERIFIED.schema)))
    return Output("verify", output.key, CANDIDATES.aligned, tuple(parts)).seal(store, {}), found


def peak_bytes(pid):
    """Return the most memory that a process has had; getrusage would tell of its parent's, too."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


class Clock:
    """CPU seconds and peak memory of this process and of its workers, stage by stage."""

    def __init__(self, rows, workers):
        self.rows, self.executor = rows, processes_for(Compute(workers=workers))
        self.spent = self._now()

    def _now(self):
        ours = resource.getrusage(resource.RUSAGE_SELF)
        workers = list(self._children())
        return np.array([ours.ru_utime + ours.ru_stime, sum(cpu for cpu, _ in workers), peak_bytes(os.getpid()) / 2**30,
                         max((peak for _, peak in workers), default=0) / 2**30])  # fmt: skip

    def _children(self):
        for child in psutil.Process().children(recursive=True):
            times = child.cpu_times()
            yield times.user + times.system, peak_bytes(child.pid)

    def line(self, what, more=""):
        now = self._now()
        own, theirs = now[:2] - self.spent[:2]
        self.spent = now
        each = (own + theirs) / self.rows * 1e3
        numbers = f"{own:.1f} | {theirs:.1f} | {each:.3f} | {now[2]:.2f} | {now[3]:.2f}"
        print(f"| {self.rows:,} | {what} | {numbers} | {more} |", flush=True)


def measure(folder, key, distance, workers):
    """Run the middle; print a row of the table for each stage."""
    store = Store(str(folder))
    given = tables(store, key)
    rows = given[0].rows
    lines = store.read("planted.txt").decode().splitlines()[: rows // COPIES]
    planted = [frozenset(line.split(" ")) for line in lines]
    none = [Output(name, "idle", "references", ()) for name in ("references", "measure_references")]
    near = {"embedder": {"kind": "efficientnet-lite0"}, "candidates": {"layout": False, "cosine": 0.7}}
    params = DedupParams.model_validate({"near": near, "perceptual": {"distance": distance}})
    clock = Clock(rows, workers)
    started = time.monotonic()

    def made(stage_, params_, *inputs):
        return run(stage_, params_, inputs, store=store, executor=clock.executor)

    pairs = made(candidates, params, *given, *none)
    seen = (pairs.facts | pairs.parts[0].facts)["searched"]["vector"]
    clock.line("candidates", f"recall {seen['recall']}, {seen['visits']} buckets each, {pairs.rows:,} pairs")
    verified, found = verified_of(store, pairs, planted)
    clock.spent = clock._now()
    nothing = Output("decontaminate", "idle", None, ())
    dropped = made(dedup, params, *given, verified, nothing)
    clock.line("dedup", f"{found / len(set(planted)):.2%} of planted pairs proposed, {dropped.rows:,} dropped")
    decided = made(select, SelectParams(), *given[1:], nothing, dropped, Output("balance", "idle", None, ()))
    clock.line("select")
    made(gathered, GatherParams(), given[0], given[1], decided)
    clock.line("exchange to shards", f"{time.monotonic() - started:.0f} s in all")
    clock.executor.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/dinoflow-middle"))
    parser.add_argument("--distance", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--add", type=int, default=0)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure, options.distance, options.workers)
        return
    print(hardware(), f"Distance {options.distance}, {options.workers} workers.")
    print("| images | stage | coordinator CPU s | workers CPU s | CPU ms an image | coordinator GiB | worker GiB | |")
    print("|--:|---|--:|--:|--:|--:|--:|---|", flush=True)
    for rows in options.rows:
        folder = options.folder / str(rows)
        shutil.rmtree(folder, ignore_errors=True)
        store = Store(str(folder))
        planted = make(store, rows, options.add)
        store.write("planted.txt", "\n".join(" ".join(sorted(pair)) for pair in planted))
        for key in ("made", "more") if options.add else ("made",):
            again = ["--measure", str(folder), key, "--distance", str(options.distance)]
            subprocess.run([sys.executable, __file__, *again, "--workers", str(options.workers)], check=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
