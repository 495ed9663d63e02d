"""One run of ids: the images that a version is to hold of it, and where an earlier version's shards hold them already.

A member of a shard is an image's bytes and the json beside them. An image stays where it lies as long as both are the
same; a member that nothing asks for is hidden.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.arrays import Ints
from curation.publish.shard_writer import SIDECAR_COLUMNS
from shared.catalog import HIDDEN
from shared.errors import DamagedFileError
from shared.images.column_path import plain_type
from shared.schema import under
from shared.storage import Store
from shared.storage.checked import read_table

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
    members: pa.Table
    """HIDDEN, of the earlier version; of equal ones the last counts."""
    places: Ints
    """The member [n] that each image is already, -1 where it is none."""

    @property
    def new(self) -> pa.Table:
        """The images that no shard holds."""
        return self.rows.filter(pa.array(self.places < 0))

    @property
    def kept(self) -> pa.Table:
        """The members that are an image, in the order of the images."""
        return self.members.take(pa.array(self.places[self.places >= 0]))

    @property
    def hidden(self) -> pa.Table:
        """Members that are none of the images."""
        hidden = np.ones(len(self.members), dtype=bool)
        hidden[self.places[self.places >= 0]] = False
        return self.members.filter(pa.array(hidden))


@dataclass(frozen=True)
class Survey:
    """What a section needs: how many of its images are new, and which shards hold the others."""

    number: int
    new: int
    live: dict[str, tuple[int, int]]
    """Images and their bytes, by shard."""


def survey(section: Section) -> Survey:
    """Count what is new in a section."""
    placement = place(section)
    shards = placement.kept.select(["shard", "length"]).group_by("shard")
    live = shards.aggregate([("shard", "count"), ("length", "sum")]).to_pylist()
    sizes = {one["shard"]: (one["shard_count"], one["length_sum"]) for one in live}
    return Survey(section.number, int((placement.places < 0).sum()), sizes)


def place(section: Section) -> Placement:
    """Look up every image of a section among the members that the earlier version's shards hold."""
    rows, members = _images(Store(section.workspace), section), _members(section)
    contents = pa.concat_tables([_contents(members, section.exif), _contents(rows, section.exif)])
    number = _numbered(contents)
    member_of = np.full(len(contents), -1, np.int64)
    member_of[number[: len(members)]] = np.arange(len(members))
    return Placement(rows, members, member_of[number[len(members) :]])


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


def _members(section: Section) -> pa.Table:
    """Return HIDDEN, as plain columns, of the members with ids of the section that can be used."""
    low, high = section.span
    plain = _plain(HIDDEN.wide(HIDDEN.optional).names)
    tables = [plain.empty_table()]
    for name in section.earlier:
        file = pq.ParquetFile(pa.BufferReader(checked_bytes(section, name)))
        table = file.read([column for column in plain.names if column in file.schema_arrow.names])
        inside = pc.greater_equal(table["image_id"], low)
        if high:
            inside = pc.and_(inside, pc.less(table["image_id"], high))
        lost = pc.is_in(table["shard"], value_set=pa.array(sorted(section.unusable), pa.string()))
        table = table.filter(pc.and_(inside, pc.invert(lost)))
        tables.append(under(plain, table))
    return pa.concat_tables(tables)


def _plain(columns: Sequence[str]) -> pa.Schema:
    """Return columns of HIDDEN, words as plain text."""
    schema = HIDDEN.wide(HIDDEN.optional)
    return pa.schema([(name, plain_type(schema.field(name).type)) for name in columns])


def _contents(table: pa.Table, exif: bool) -> pa.Table:
    """Return what members are made of beside the bytes that their ids name, as plain columns."""
    contents = under(_plain([*SIDECAR_COLUMNS, "metadata"]), table)
    kept = pc.dictionary_encode(contents["metadata"]).unify_dictionaries().combine_chunks()
    words = pa.array([_metadata(word, exif) for word in kept.dictionary.to_pylist()], pa.string())
    return contents.set_column(contents.num_columns - 1, "metadata", words.take(kept.indices))


def _metadata(kept: str, exif: bool) -> str | None:
    """Return metadata in a form of its own; EXIF, a function of the bytes, is left out."""
    if not kept:
        return None
    facts = {key: value for key, value in json.loads(kept).items() if key != "exif" or not exif}
    return json.dumps(facts, sort_keys=True) if facts or not exif else None


def _numbered(table: pa.Table) -> Ints:
    """Return a number [n] for each row, the same for equal rows; a null equals a null."""
    number = np.zeros(len(table), np.int64)
    for column in table.columns:
        codes = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode").indices.to_numpy()
        number = np.unique(number * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1].astype(np.int64)
    return number
