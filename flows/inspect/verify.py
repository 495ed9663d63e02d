"""`dinoflow datasets WORKSPACE verify V`: every file read again, and what changed in it, down to the image."""

import hashlib
import sys
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.publish.shard_writer import SIDECAR_COLUMNS
from flows.commands.console import Console
from flows.inspect.verify_shard import damage_in_shard, read_shard
from flows.inspect.workspace import existing, version_of
from shared.dataset_version import Published
from shared.launch.progress import Meter

CHUNK = 1 << 24
FOLDERS = ("manifest", "dropped", "hidden", "conflicts", "shards")
COLUMNS = {"manifest": [*SIDECAR_COLUMNS, "metadata", "shard", "offset", "length"]}


def verify(workspace: str, which: str | None, json: bool) -> dict[str, Any]:
    """Print, and return, what is damaged in a version: an empty list when all is as it was published."""
    console = Console(sys.stderr if json else None, quiet=json)
    dataset = version_of(existing(workspace), which)
    damaged = [*_unexpected(dataset), *_files(dataset, console), *_rows(dataset)]
    name, files = f"{dataset.name}/{dataset.version}", len(dataset.info["checksums"])
    if not damaged:
        console.say(f"{name}: all {files} files are as they were published, and their counts add up")
    return {"dataset": dataset.name, "version": dataset.version, "files": files, "damaged": damaged}


def _unexpected(dataset: Published) -> list[str]:
    checksums = dataset.info["checksums"]
    existing = [f"{folder}/{name}" for folder in FOLDERS for name in dataset.store.names(folder)]
    return [f"{name}: is no file of this version" for name in existing if name not in checksums]


def _files(dataset: Published, console: Console) -> list[str]:
    """Read every file whole and hold each image against its id; look closer where a checksum differs."""
    checksums: dict[str, str] = dataset.info["checksums"]
    tables = [name for name in checksums if not name.startswith("shards/")]
    damaged = [line for name in tables if (line := _damage_in_table(dataset, name, checksums[name]))]
    kept = _readable(dataset, "manifest")
    images = Counter(kept["shard"].to_pylist()) if kept is not None else Counter()
    meter = Meter("verify", images.total(), console.progress)
    for name in sorted(checksums.keys() - set(tables)):
        shard = name.removeprefix("shards/")
        rows = kept.filter(pc.equal(kept["shard"], shard)) if kept is not None else None
        digest, strangers = read_shard(dataset, shard, rows)
        if digest != checksums[name]:
            damaged += damage_in_shard(dataset, shard, rows, missing=digest is None)
        else:
            damaged += [
                f"{name}: holds other bytes of {uri} than its id names, and was published so" for uri in strangers
            ]
        meter.add(images[shard])
    meter.end()
    return damaged


def sha256(dataset: Published, name: str) -> str | None:
    """Return the SHA-256 of a file, in hex; None where it is missing."""
    state = hashlib.sha256()
    try:
        with dataset.store.open(name) as file:
            while chunk := file.read(CHUNK):
                state.update(chunk)
    except FileNotFoundError:
        return None
    return state.hexdigest()


def _damage_in_table(dataset: Published, name: str, published: str) -> str | None:
    digest = sha256(dataset, name)
    if digest is None:
        return f"{name}: is missing"
    return None if digest == published else f"{name}: has other bytes than were published"


def _readable(dataset: Published, kind: str) -> pa.Table | None:
    """Return what can be read of a table, part by part."""
    tables = []
    for name in dataset.files(kind):
        try:
            with dataset.store.open_arrow(name) as file:
                existing = pq.ParquetFile(file)
                columns = [c for c in COLUMNS.get(kind, ["uri", "reason"]) if c in existing.schema_arrow.names]
                tables.append(existing.read(columns))
        except (pa.ArrowException, OSError):
            continue
    return pa.concat_tables(tables, promote_options="permissive") if tables else None


def _rows(dataset: Published) -> list[str]:
    """Hold the tables against the counts; no uri may be in them twice."""
    kept, dropped = (_readable(dataset, kind) for kind in ("manifest", "dropped"))
    counts, damaged = dataset.info["counts"], []
    for what, table in (("kept", kept), ("dropped", dropped)):
        rows = table.num_rows if table is not None else 0
        if rows != counts[what]:
            damaged.append(f"dataset.json: tells of {counts[what]:,} {what} images, the tables of {rows:,}")
    if dropped is not None:
        expected = Counter({k: v for k, v in counts["reasons"].items() if v})
        reasons = Counter(
            {e["values"]: e["counts"] for e in pc.value_counts(dropped["reason"].cast("string")).to_pylist()}
        )
        for reason in sorted(expected.keys() | reasons.keys()):
            if expected[reason] != reasons[reason]:
                damaged.append(
                    f"dataset.json: tells of {expected[reason]:,} {reason}, the table of {reasons[reason]:,}"
                )
    uris = pa.concat_tables([table.select(["uri"]) for table in (kept, dropped) if table is not None])
    if pc.count_distinct(uris["uri"]).as_py() != uris.num_rows:
        counted = uris.group_by("uri").aggregate([([], "count_all")])
        twice = counted.filter(pc.greater(counted["count_all"], 1)).sort_by("uri")
        damaged += [f"{uri}: stands in the tables more than once" for uri in twice["uri"].to_pylist()]
    return damaged
