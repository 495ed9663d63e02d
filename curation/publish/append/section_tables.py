"""The tables of one section of a version: its images with their places, its hidden members, its dropped images."""

import hashlib
import io
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from curation.publish.append.new_shards import members_name
from curation.publish.append.section import Placement, Section, checked_bytes, place
from shared.catalog import HIDDEN, MANIFEST
from shared.images.column_path import plain_type
from shared.storage import Store
from shared.storage.checked import read_table

ROW_GROUP = 100_000


@dataclass(frozen=True)
class TableRequest:
    """A section whose tables are to be written."""

    section: Section
    folder: str
    """Of the version, in the workspace."""
    shards: str
    """Folder of the shards, in the workspace."""
    fills: tuple[tuple[str, int, int], ...]
    """The shards that hold the section's new images, in order: name, first and last member."""
    dead: frozenset[str]
    """Shards of which the version keeps nothing: their members are not hidden, but gone."""


@dataclass(frozen=True)
class SectionTables:
    """What was written."""

    number: int
    tables: dict[str, str]
    """Kind of table → its name in the version."""
    checksums: dict[str, str]
    first: str | None
    """Id of the first image; None where there are none."""


def write_tables(work: TableRequest) -> SectionTables:
    """Write manifest, hidden and dropped of a section, as far as they have rows."""
    section = work.section
    store, tables, first = Store(section.workspace), dict[str, str](), None
    checksums: dict[str, str] = {}
    if section.source:
        placement = place(section)
        written = {"manifest": _manifest(store, work, placement), "hidden": _hidden(work, placement)}
        first = placement.rows["image_id"][0].as_py()
        for kind, table in written.items():
            if len(table):
                tables[kind] = f"{kind}/part-{section.number:06d}.parquet"
                checksums[tables[kind]] = _committed(store, f"{work.folder}/{tables[kind]}", table)
    if section.dropped:
        tables["dropped"] = name = f"dropped/part-{section.number:06d}.parquet"
        checked_bytes(section, section.dropped)
        store.link(section.dropped, f"{work.folder}/{name}")
        checksums[name] = section.sums[section.dropped]
    return SectionTables(section.number, tables, checksums, first)


def _manifest(store: Store, work: TableRequest, placement: Placement) -> pa.Table:
    rows = placement.rows
    members = [member for fill in work.fills for member in _members(store, work.shards, *fill)]
    filled = iter(members)
    places = [place or next(filled) for place in placement.places]
    columns = {name: rows[name] for name in MANIFEST.wide(rows.column_names).names if name in rows.column_names}
    columns |= {name: pa.array([place[name] for place in places]) for name in ("shard", "offset", "length")}
    if work.section.exif:
        columns["metadata"] = pa.array([place.get("metadata") for place in places], pa.string())
    schema = MANIFEST.wide(columns)
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def _members(store: Store, folder: str, shard: str, start: int, stop: int) -> list[dict[str, object]]:
    table = read_table(store, members_name(folder, shard))
    columns = [name for name in ("shard", "offset", "length", "metadata") if name in table.column_names]
    members: list[dict[str, object]] = table.select(columns).slice(start, stop - start).to_pylist()
    return members


def _hidden(work: TableRequest, placement: Placement) -> pa.Table:
    hidden = [member for member in placement.hidden if member["shard"] not in work.dead]
    schema = HIDDEN.wide(hidden[0] if hidden else ())
    return pa.Table.from_pylist(hidden, pa.schema([(f.name, plain_type(f.type)) for f in schema])).cast(schema)


def _committed(store: Store, name: str, table: pa.Table) -> str:
    sink = io.BytesIO()
    words = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    pq.write_table(  # a dictionary of ids, uris or numbers that do not repeat costs a sixth more
        table, sink, compression="zstd", compression_level=9, use_dictionary=words, row_group_size=ROW_GROUP
    )
    store.write(name, sink.getvalue())
    return hashlib.sha256(sink.getvalue()).hexdigest()
