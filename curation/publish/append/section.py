"""One run of ids: the images that a version is to hold of it, and where an earlier version's shards hold them already.

A member of a shard is an image's bytes and the json beside them. An image stays where it lies as long as both are the
same; a member that nothing asks for is hidden.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.publish.shard_writer import SIDECAR_COLUMNS
from shared.catalog import HIDDEN
from shared.errors import DamagedFileError
from shared.storage import Store
from shared.storage.checked import read_table

Row = dict[str, Any]
SIDECAR = (*SIDECAR_COLUMNS, *HIDDEN.optional)


@dataclass(frozen=True)
class Section:
    """Images with neighbouring ids, and the files that tell of them."""

    workspace: str
    number: int
    source: str
    """The images: a part of the pack stage, or of an earlier version's manifest; nothing where there are none."""
    dropped: str
    """The dropped rows to publish beside them, if any."""
    span: tuple[str, str]
    """Ids from the first on, up to the second; an empty one is the end."""
    earlier: tuple[str, ...] = ()
    """Tables of the earlier version that tell of members with such ids, those of hidden ones first."""
    unusable: frozenset[str] = frozenset()
    """Shards of the earlier version that are lost, or to be repacked."""
    shards: str = ""
    """Where the shards of the earlier version lie."""
    exif: bool = False
    """Whether EXIF stands in the metadata of members; only their bytes tell it."""
    sums: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of those of these files that carry no checksum of their own."""


@dataclass(frozen=True)
class Placement:
    """The images of a section, and where they lie."""

    rows: pa.Table
    """PACKED."""
    places: list[Row | None]
    """The member that each one is already, if any."""
    hidden: list[Row]
    """Members that are none of the images."""

    @property
    def new(self) -> pa.Table:
        """The images that no shard holds."""
        return self.rows.filter(pa.array([place is None for place in self.places], pa.bool_()))


@dataclass(frozen=True)
class Survey:
    """What a section needs: how many of its images are new, and which shards hold the others."""

    number: int
    new: int
    live: dict[str, tuple[int, int]]
    """Images and their bytes, by shard."""


def survey(section: Section) -> Survey:
    """Count what is new in a section."""
    placement, live = place(section), dict[str, tuple[int, int]]()
    for member in placement.places:
        if member:
            images, size = live.get(member["shard"], (0, 0))
            live[member["shard"]] = images + 1, size + member["length"]
    return Survey(section.number, placement.places.count(None), live)


def place(section: Section) -> Placement:
    """Look up every image of a section among the members that the earlier version's shards hold."""
    store = Store(section.workspace)
    rows, members = _images(store, section), list(_members(section))
    if not members:
        return Placement(rows, [None] * rows.num_rows, [])
    by_content = {_content(member, section.exif): member for member in members}
    requested = rows.select([name for name in SIDECAR if name in rows.column_names]).to_pylist()
    places = [by_content.get(_content(row, section.exif)) for row in requested]
    used = {(member["shard"], member["offset"]) for member in places if member}
    return Placement(rows, places, [one for one in members if (one["shard"], one["offset"]) not in used])


def _images(store: Store, section: Section) -> pa.Table:
    """Return PACKED; the images of an earlier version are read from its shards."""
    if section.source in section.sums:
        rows = pq.read_table(pa.BufferReader(checked_bytes(section, section.source)))
    else:
        rows = read_table(store, section.source)
    rows = rows.replace_schema_metadata(None)
    if "reader" in rows.column_names:
        return rows
    folder, nothing = f"{section.shards}/", pa.nulls(rows.num_rows, pa.string())
    paths = pc.binary_join_element_wise(folder, rows["shard"], "")
    columns = {"reader": pa.repeat("range", rows.num_rows), "path": paths, "member": nothing}
    for name, values in columns.items():
        rows = rows.append_column(name, values)
    return rows.drop_columns(["shard"])


def checked_bytes(section: Section, name: str) -> bytes:
    """Return the bytes of one of a section's files whose checksum it has. Raises DamagedFileError for other bytes."""
    try:
        data = Store(section.workspace).read(name)
    except FileNotFoundError as error:
        raise DamagedFileError(name, "is missing") from error
    if hashlib.sha256(data).hexdigest() != section.sums[name]:
        raise DamagedFileError(name, "has other bytes than were written")
    return data


def _members(section: Section) -> Iterator[Row]:
    low, high = section.span
    for name in section.earlier:
        file = pq.ParquetFile(pa.BufferReader(checked_bytes(section, name)))
        table = file.read(
            [column for column in HIDDEN.wide(HIDDEN.optional).names if column in file.schema_arrow.names]
        )
        inside = pc.greater_equal(table["image_id"], low)
        if high:
            inside = pc.and_(inside, pc.less(table["image_id"], high))
        for member in table.filter(inside).to_pylist():
            if member["shard"] not in section.unusable:
                yield member


def _content(row: Row, exif: bool) -> tuple[Any, ...]:
    """Return what a member is made of beside the bytes that its id names; EXIF, a function of those, is left out."""
    kept = row.get("metadata") or None
    if kept:
        facts = {key: value for key, value in json.loads(kept).items() if key != "exif" or not exif}
        kept = json.dumps(facts, sort_keys=True) if facts or not exif else None
    return *(row[name] for name in SIDECAR_COLUMNS), kept
