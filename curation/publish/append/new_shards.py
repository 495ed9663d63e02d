"""The images that no shard holds yet, written into new ones. A shard is named by what it holds, and never changes."""

import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.publish.append.section import SIDECAR, Section, Survey, place
from curation.publish.exif import with_exif
from curation.publish.shard_writer import sidecar, write_shard
from curation.sources.outages import FilesChangedError
from curation.sources.reading import UnreadableError, read_bytes
from shared.catalog import HIDDEN
from shared.images.ids import digest
from shared.params import fingerprint
from shared.storage import Store, sha256

DIGITS = 16
"""Of a shard's name: 64 bits, so that a million shards of one dataset have different ones."""


@dataclass(frozen=True)
class Slice:
    """Some of the new images of a section, by their places among those."""

    section: Section
    start: int
    stop: int


@dataclass(frozen=True)
class ShardPlan:
    """The images of one new shard."""

    number: int
    folder: str
    """Where the shards of the dataset lie, in the workspace."""
    slices: tuple[Slice, ...]
    read_exif: bool


@dataclass(frozen=True)
class Shard:
    """A shard of a dataset."""

    number: int
    """Of its plan."""
    name: str
    images: int
    bytes: int
    """Of the images."""
    size: int
    sha256: str


def plan_shards(
    surveys: Sequence[Survey], sections: Sequence[Section], folder: str, shard_images: int, read_exif: bool
) -> list[ShardPlan]:
    """Cut the new images of all sections, in the order of their ids, into shards of equal size."""
    total = sum(one.new for one in surveys)
    count = -(-total // shard_images)
    edges = [total * i // count for i in range(count + 1)] if count else []
    cut: list[list[Slice]] = [[] for _ in range(count)]
    first, number = 0, 0
    for one, section in zip(surveys, sections, strict=True):
        start = 0
        while start < one.new:
            stop = min(one.new, edges[number + 1] - first)
            cut[number].append(Slice(section, start, stop))
            start = stop
            number += first + stop == edges[number + 1]
        first += one.new
    return [ShardPlan(i, folder, tuple(slices), read_exif) for i, slices in enumerate(cut)]


def write_planned(plan: ShardPlan) -> Shard:
    """Write a shard, and beside it the table of its members. What an earlier try left whole is not written again."""
    store = Store(plan.slices[0].section.workspace)
    pieces = [place(one.section).new.slice(one.start, one.stop - one.start) for one in plan.slices]
    rows = pa.concat_tables(pieces, promote_options="permissive").unify_dictionaries().combine_chunks()
    facts = rows.select([name for name in SIDECAR if name in rows.column_names]).to_pylist()
    members = [sidecar(row).decode() for row in facts]
    name = f"shard-{fingerprint('shard', members, plan.read_exif)[:DIGITS]}.tar"
    return _existing(store, plan, name) or _written(store, plan, name, rows, facts)


def members_name(folder: str, shard: str) -> str:
    """Where the table of a shard's members lies."""
    return f"{folder}/{shard.removesuffix('.tar')}.parquet"


def _written(store: Store, plan: ShardPlan, name: str, rows: pa.Table, facts: list[dict[str, Any]]) -> Shard:
    texts = list[str | None]()
    with store.commit(f"{plan.folder}/{name}") as draft:
        images = _images(facts, rows)
        offsets = write_shard(draft, with_exif(images, texts) if plan.read_exif else images)
        shard = Shard(
            plan.number, name, len(offsets), sum(rows["bytes"].to_pylist()), draft.stat().st_size, sha256(draft)
        )
    columns = {column: rows[column] for column in rows.column_names if column in SIDECAR}
    columns |= {"metadata": pa.array(texts, pa.string())} if plan.read_exif else {}
    columns |= {"shard": pa.repeat(name, len(rows)), "offset": pa.array(offsets), "length": rows["bytes"]}
    table = pa.table(columns).select(HIDDEN.wide(columns).names).cast(HIDDEN.wide(columns))
    described = {"size": shard.size, "sha256": shard.sha256, "bytes": shard.bytes}
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"shard": json.dumps(described)}), sink, compression="zstd")
    store.write(members_name(plan.folder, name), sink.getvalue())
    return shard


def _existing(store: Store, plan: ShardPlan, name: str) -> Shard | None:
    """Return a shard that is there with its table, and whole: both are read."""
    try:
        with store.open_arrow(members_name(plan.folder, name)) as file:
            footer = pq.ParquetFile(file)
            described = json.loads((footer.schema_arrow.metadata or {})[b"shard"])
            images = footer.metadata.num_rows
        with store.fetched(f"{plan.folder}/{name}") as path:
            whole = path.stat().st_size == described["size"] and sha256(path) == described["sha256"]
    except (FileNotFoundError, KeyError, pa.ArrowInvalid):
        return None
    return (
        Shard(plan.number, name, images, described["bytes"], described["size"], described["sha256"]) if whole else None
    )


def _images(facts: list[dict[str, Any]], rows: pa.Table) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the images whose bytes are those that were measured; at the end, raise FilesChangedError for the others."""
    changed: dict[str, str] = {}
    for row, data in zip(facts, _bytes(rows), strict=True):
        content = "" if isinstance(data, UnreadableError) else digest(data).hex()
        if content == row["image_id"] and isinstance(data, bytes):
            yield row, data
        else:
            changed[row["uri"]] = content
    if changed:
        raise FilesChangedError(changed)


def _bytes(rows: pa.Table) -> Iterator[bytes | UnreadableError]:
    """Yield the bytes of each row. A row group of a Parquet file is decoded once for the shard, not for every image."""
    path = pc.coalesce(rows["path"], rows["uri"])  # a null path is the uri
    rows = rows.set_column(rows.schema.get_field_index("path"), "path", path)
    if "parquet" not in pc.unique(rows["reader"].cast(pa.string())).to_pylist():
        yield from read_bytes(rows)
        return
    order = pc.sort_indices(rows, [("path", "ascending"), ("offset", "ascending")]).to_pylist()
    spooled: dict[int, tuple[int, int] | UnreadableError] = {}
    with tempfile.TemporaryFile() as spool:
        for row, data in zip(order, read_bytes(rows.take(order)), strict=True):
            spooled[row] = data if isinstance(data, UnreadableError) else (spool.tell(), spool.write(data))
        for row in range(rows.num_rows):
            span = spooled[row]
            if not isinstance(span, UnreadableError):
                spool.seek(span[0])
            yield span if isinstance(span, UnreadableError) else spool.read(span[1])
