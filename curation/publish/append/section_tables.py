"""The tables of one section of a version: its images with their places, its hidden members, its dropped images."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.publish.append.new_shards import members_name
from curation.publish.append.section import Placement, Section, checked_bytes, place
from shared.catalog import HIDDEN, MANIFEST
from shared.schema import under
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
    rows, kept = placement.rows, placement.kept
    names = ["shard", "offset", "length", *(["metadata"] if work.section.exif else [])]
    schema = pa.schema([(name, kept.schema.field(name).type) for name in names])
    filled = [_members(store, work.shards, schema, *fill) for fill in work.fills]
    # Of the kept members and then the new ones, in the order of the images: where each image stands.
    new = placement.places < 0
    row = np.where(new, len(kept) + np.cumsum(new) - 1, np.cumsum(~new) - 1)
    places = pa.concat_tables([kept.select(names), *filled]).take(pa.array(row))
    columns = {name: rows[name] for name in MANIFEST.wide(rows.column_names).names if name in rows.column_names}
    columns |= {name: places[name] for name in names}
    wide = MANIFEST.wide(columns)
    return pa.table({name: columns[name] for name in wide.names}).cast(wide)


def _members(store: Store, folder: str, schema: pa.Schema, shard: str, start: int, stop: int) -> pa.Table:
    table = read_table(store, members_name(folder, shard)).slice(start, stop - start)
    return under(schema, table)


def _hidden(work: TableRequest, placement: Placement) -> pa.Table:
    hidden = placement.hidden
    dead = pc.is_in(hidden["shard"], value_set=pa.array(sorted(work.dead), pa.string()))
    hidden = hidden.filter(pc.invert(dead))
    optional = [name for name in HIDDEN.optional if hidden[name].null_count < len(hidden)]
    schema = HIDDEN.wide(optional)
    return hidden.select(schema.names).cast(schema)


def _committed(store: Store, name: str, table: pa.Table) -> str:
    sink = io.BytesIO()
    words = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    pq.write_table(  # a dictionary of ids, uris or numbers that do not repeat costs a sixth more
        table, sink, compression="zstd", compression_level=9, use_dictionary=words, row_group_size=ROW_GROUP
    )
    store.write(name, sink.getvalue())
    return hashlib.sha256(sink.getvalue()).hexdigest()
