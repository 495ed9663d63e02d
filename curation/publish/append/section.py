"""One run of ids: the images that a version is to hold of it, and where an earlier version's shards hold them already.

A member of a shard is an image's bytes and the json beside them. An image stays where it lies as long as both are the
same; a member that nothing asks for is hidden.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.publish.shard_writer import SIDECAR_COLUMNS, sidecar
from shared.catalog import HIDDEN
from shared.storage import Store

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
    rows, members = _images(store, section), list(_members(store, section))
    if not members:
        return Placement(rows, [None] * rows.num_rows, [])
    by_content = {_content(member, section.exif): member for member in members}
    requested = rows.select([name for name in SIDECAR if name in rows.column_names]).to_pylist()
    places = [by_content.get(_content(row, section.exif)) for row in requested]
    used = {(member["shard"], member["offset"]) for member in places if member}
    return Placement(rows, places, [one for one in members if (one["shard"], one["offset"]) not in used])


def _images(store: Store, section: Section) -> pa.Table:
    """Return PACKED; the images of an earlier version are read from its shards."""
    with store.open_arrow(section.source) as file:
        rows = pq.read_table(file).replace_schema_metadata(None)
    if "reader" in rows.column_names:
        return rows
    folder, nothing = f"{section.shards}/", pa.nulls(rows.num_rows, pa.string())
    paths = pc.binary_join_element_wise(folder, rows["shard"], "")
    columns = {"reader": pa.repeat("range", rows.num_rows), "path": paths, "member": nothing}
    for name, values in columns.items():
        rows = rows.append_column(name, values)
    return rows.drop_columns(["shard"])


def _members(store: Store, section: Section) -> Iterator[Row]:
    low, high = section.span
    for name in section.earlier:
        with store.open_arrow(name) as file:
            existing = pq.ParquetFile(file).schema_arrow.names
            columns = [column for column in HIDDEN.wide(HIDDEN.optional).names if column in existing]
            table = pq.read_table(file, columns=columns)
        inside = pc.greater_equal(table["image_id"], low)
        if high:
            inside = pc.and_(inside, pc.less(table["image_id"], high))
        for member in table.filter(inside).to_pylist():
            if member["shard"] not in section.unusable:
                yield member


def _content(row: Row, exif: bool) -> bytes:
    """Return what a member is made of beside the bytes that its id names; EXIF, a function of those, is left out."""
    if exif and row.get("metadata"):
        kept = {key: value for key, value in json.loads(row["metadata"]).items() if key != "exif"}
        row = row | {"metadata": json.dumps(kept, sort_keys=True) if kept else None}
    return sidecar(row)
